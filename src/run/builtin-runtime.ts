import { join } from 'node:path';
import { type InitPlan, initCommand } from '../sys/index.ts';
import { boundingSet, capabilityMask, commandCapabilities } from './capabilities.ts';
import { commandEnv } from './command-env.ts';
import { resourceLimits } from './contracts.ts';
import { machinePaths, maskedPaths, readOnlyPaths } from './proc-paths.ts';
import type { Runtime, StartProblem, Step } from './runtime.ts';
import { seccompProgram } from './seccomp-program.ts';

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
    prepare: ({ spec, folders }) => ({
      listener: 'init',
      // The command's own, where `tty` finds it as /dev/pts/0.
      devpts: join(folders.root, 'dev/pts'),
      argv: initCommand(),
      // Not with --fork: its parent process has no exit code for a child killed by SIGKILL. The supervisor's first child, its
      // only one, is the first process of the new PID namespace.
      around: [
        options.unshare,
        ...['--mount', '--propagation', 'unchanged', '--pid', '--uts', '--ipc'],
        ...(spec.network === 'none' ? ['--net'] : []),
        '--',
      ],
    }),
    isRuntime: (_step, commandLine) => initCommand().every((word, index) => word === commandLine[index]),
    go: (step) => `${JSON.stringify(initPlan(step))}\n`,
    problem: (_step, _exitCode, said) => problemOf(said),
  };
}

function initPlan({ spec, folders, program }: Step): InitPlan {
  const privileged = spec.privileged === true;
  const bounding = boundingSet();
  const filter = privileged ? null : seccompProgram(process.arch);
  return {
    root: folders.root,
    hostname: spec.hostname,
    ownNetwork: spec.network === 'none',
    sysReadOnly: !privileged,
    maskedPaths: privileged ? [] : [...maskedPaths, ...(spec.steady === undefined ? [] : machinePaths)],
    ...(spec.steady === undefined ? {} : { bootId: folders.bootId }),
    ...(spec.steady?.lastPid === undefined ? {} : { lastPid: spec.steady.lastPid }),
    readOnlyPaths: privileged ? [] : readOnlyPaths,
    capabilities: capabilityMask(commandCapabilities(privileged, bounding)).toString(),
    ...(filter === null ? {} : { seccomp: filter.toString('base64') }),
    uid: spec.user.uid,
    gid: spec.user.gid,
    groups: spec.user.additionalGids,
    cwd: spec.cwd,
    program,
    argv: spec.argv,
    env: commandEnv(spec),
    terminal: spec.terminal === true,
    limits: (spec.limits ?? []).map(({ name, soft, hard }) => [
      resourceLimits[name],
      BigInt.asUintN(64, BigInt(soft)).toString(),
      BigInt.asUintN(64, BigInt(hard)).toString(),
    ]),
  };
}

function problemOf(said: string): StartProblem | null {
  if (said === '') return null;
  const { step, code, message } = JSON.parse(said) as { step: string; code: string; message: string };
  if (step !== 'exec') return { kind: 'runtime', message };
  return { kind: 'command', exitCode: code === 'ENOENT' ? 127 : 126, message };
}
