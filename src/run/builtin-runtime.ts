import { type InitPlan, initCommand } from '../sys/index.ts';
import { boundingSet, capabilityMask, commandCapabilities } from './capabilities.ts';
import { commandEnv } from './command-env.ts';
import { maskedPaths, readOnlyPaths } from './proc-paths.ts';
import type { Runtime, StartProblem, Step } from './runtime.ts';

export interface BuiltinRuntimeOptions {
  /** util-linux's unshare. */
  readonly unshare: string;
}

/**
 * The sandbox without an OCI runtime: util-linux's `unshare` makes the namespaces, and a small program on Cairn's own Node (sys `init`) does
 * inside them what a runtime would do, then becomes the command.
 */
export function builtinRuntime(options: BuiltinRuntimeOptions): Runtime {
  return {
    kind: 'builtin',
    listener: 'init',
    prepare: ({ spec }) => [
      options.unshare,
      ...['--mount', '--propagation', 'unchanged', '--pid', '--fork', '--uts', '--ipc'],
      ...(spec.network === 'none' ? ['--net'] : []),
      '--',
      ...initCommand(),
    ],
    go: (step) => `${JSON.stringify(initPlan(step))}\n`,
    problem: (_step, _exitCode, said) => problemOf(said),
  };
}

function initPlan({ spec, folders, program }: Step): InitPlan {
  const privileged = spec.privileged === true;
  const bounding = boundingSet();
  return {
    root: folders.root,
    hostname: spec.hostname,
    ownNetwork: spec.network === 'none',
    sysReadOnly: !privileged,
    maskedPaths: privileged ? [] : maskedPaths,
    readOnlyPaths: privileged ? [] : readOnlyPaths,
    capabilities: capabilityMask(commandCapabilities(privileged, bounding)).toString(),
    uid: spec.user.uid,
    gid: spec.user.gid,
    groups: spec.user.additionalGids,
    cwd: spec.cwd,
    program,
    argv: spec.argv,
    env: commandEnv(spec),
    terminal: spec.terminal === true,
  };
}

function problemOf(said: string): StartProblem | null {
  if (said === '') return null;
  const { step, code, message } = JSON.parse(said) as { step: string; code: string; message: string };
  if (step !== 'exec') return { kind: 'runtime', message };
  return { kind: 'command', exitCode: code === 'ENOENT' ? 127 : 126, message };
}
