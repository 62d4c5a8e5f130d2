import { readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mount } from '../sys/index.ts';
import { bind } from './bind.ts';
import { boundingSet } from './capabilities.ts';
import type { Runtime, StartProblem, Step } from './runtime.ts';
import { encodeRuntimeConfig, type RuntimeConfigOptions, runtimeConfig } from './runtime-config.ts';
import { seccompProgram } from './seccomp-program.ts';

export interface OciRuntimeOptions {
  readonly kind: 'crun' | 'runc';
  /** Absolute path of the runtime. */
  readonly program: string;
  /** util-linux's mount. */
  readonly mountProgram: string;
  /** util-linux's unshare. */
  readonly unshare: string;
}

/** A runtime of the OCI, driven through a bundle and `run`. */
export function ociRuntime(options: OciRuntimeOptions): Runtime {
  return {
    kind: options.kind,
    go: () => 'go\n',
    prepare(step) {
      showReadOnlyCgroups();
      const config = runtimeConfig(step.spec, {
        rootPath: step.folders.root,
        bounding: boundingSet(),
        restoreRootFlags: options.kind === 'crun',
        arch: process.arch,
        // runc knows profiles only.
        filter: options.kind === 'crun' ? seccompProgram(process.arch) : null,
        ...bootIdOf(step, options),
      });
      writeFileSync(join(step.folders.bundle, 'config.json'), encodeRuntimeConfig(config), { mode: 0o600 });
      return {
        listener: 'supervisor',
        argv: commandLine(options, step),
        around: [],
        // The runtime gives the command one of its own, and copies between the two.
        devpts: '/dev/pts',
      };
    },
    // crun keeps its command line until the command replaces it, runc starts itself anew as `runc init`.
    isRuntime: (step, [program, ...args]) =>
      program === options.program && (args[0] === 'init' || args.includes(step.folders.state)),
    problem: (step, exitCode) => (exitCode === 0 ? null : loggedProblem(step.folders.log)),
  };
}

function bootIdOf(
  { spec, folders: { bootId: path } }: Step,
  { kind, mountProgram }: OciRuntimeOptions,
): Pick<RuntimeConfigOptions, 'bootId'> {
  if (spec.steady === undefined) return {};
  return { bootId: kind === 'crun' ? { kind: 'mount', path } : { kind: 'hook', path, mountProgram } };
}

function commandLine({ kind, program, unshare }: OciRuntimeOptions, { folders }: Step): readonly string[] {
  // No cgroup of its own for a step: nothing could remove it when Cairn is killed. crun is told so; runc goes without when
  // it cannot write below the mount and believes itself rootless.
  const cgroups = kind === 'crun' ? '--cgroup-manager=disabled' : '--rootless=true';
  return [
    // The runtime looks processes up in /proc, which must be that of the supervisor's PID namespace.
    unshare,
    '--mount-proc',
    '--propagation',
    'unchanged',
    '--',
    program,
    '--root',
    folders.state,
    '--log',
    folders.log,
    '--log-format',
    'json',
    cgroups,
    'run',
    '--bundle',
    folders.bundle,
    'step',
  ];
}

const cgroupFolder = '/sys/fs/cgroup';
/** linux/magic.h: CGROUP2_SUPER_MAGIC */
const cgroup2Magic = 0x63677270;

/**
 * Covers the cgroup file systems with one that cannot be written: no layout (v1, hybrid, none) is then in a runtime's way, and none
 * is changed. Where even that is not to be had, the runtime has to cope with what there is.
 */
function showReadOnlyCgroups(): void {
  const safe = ['read-only', 'no-suid', 'no-dev', 'no-exec'] as const;
  const attempts = [
    // Some 10 ms faster than a mount of its own, for which the kernel waits until all CPUs have come by.
    () => bind(mountedCgroup2(), cgroupFolder, safe),
    () => mount(cgroupFolder, { source: 'cgroup', flags: safe, type: 'cgroup2' }),
    () => mount(cgroupFolder, { source: 'cgroup', flags: safe, type: 'tmpfs' }),
  ];
  for (const attempt of attempts) {
    try {
      attempt();
      return;
    } catch {
      // ENOENT where none is mounted, EPERM in a user namespace, ENODEV on a kernel without cgroups.
    }
  }
}

/** Where the host has the unified hierarchy, alone or beside the older ones. */
function mountedCgroup2(): string {
  const folder = [cgroupFolder, `${cgroupFolder}/unified`].find(
    (path) => statfsSync(path).type === cgroup2Magic,
  );
  if (folder === undefined) throw new Error('no unified hierarchy is mounted');
  return folder;
}

/** Runtimes write errors of their own as JSON lines to the log. */
function loggedProblem(log: string): StartProblem | null {
  const message = errorLines(log).at(-1);
  if (message === undefined) return null;
  const exitCode = exitCodeOf(message);
  return exitCode === null
    ? { kind: 'runtime', message }
    : { kind: 'command', exitCode, message: withoutPrefix(message) };
}

function errorLines(log: string): readonly string[] {
  return readLog(log)
    .split('\n')
    .flatMap((line) => {
      try {
        const entry = JSON.parse(line) as { level?: unknown; msg?: unknown };
        return entry.level === 'error' && typeof entry.msg === 'string' ? [entry.msg] : [];
      } catch {
        return [];
      }
    });
}

function readLog(log: string): string {
  try {
    return readFileSync(log, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Docker's rule (126: found but not executable, 127: not found) on what runtimes say about execve. */
function exitCodeOf(message: string): 126 | 127 | null {
  if (!/exec|open executable/i.test(message)) return null;
  if (/not found|no such file/i.test(message)) return 127;
  if (/permission denied|exec format error|is a directory|not a directory|invalid argument/i.test(message))
    return 126;
  return null;
}

function withoutPrefix(message: string): string {
  const start = message.search(/exec:? /);
  return start > 0 ? message.slice(start) : message;
}
