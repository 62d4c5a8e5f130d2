import { type CapabilityName, commandCapabilities } from './capabilities.ts';
import { commandEnv } from './command-env.ts';
import type { ResourceLimit, SandboxSpec } from './contracts.ts';
import { bootIdPath, machinePaths, maskedPaths, readOnlyPaths } from './proc-paths.ts';
import {
  type ArgumentTest,
  allowedSyscalls,
  deniedErrno,
  missingErrno,
  missingSyscalls,
  seccompArchitectures,
} from './seccomp-profile.ts';

export interface RuntimeConfigOptions {
  /** The bundle's root file system, everything but what `mounts` below lists mounted in it already. */
  readonly rootPath: string;
  /** This process's bounding set: a runtime fails when asked for more. */
  readonly bounding: bigint;
  /** crun clears the flags of the root's mount: it has to be told them again. */
  readonly restoreRootFlags: boolean;
  /** The file that is to be seen as the kernel's boot ID: mounted by the runtime, or by a hook where it refuses (runc). */
  readonly bootId?:
    | { readonly kind: 'mount'; readonly path: string }
    | { readonly kind: 'hook'; readonly path: string; readonly mountProgram: string };
  /** `process.arch`. */
  readonly arch: string;
  /** The seccomp filter as a program, for a crun that need not translate the profile then, which takes it 8 ms. */
  readonly filter?: Buffer | null;
}

/**
 * config.json of an OCI bundle (runtime-spec 1.0.2, config.md, config-linux.md) for one command. The overlay, /dev, /etc files and the
 * command's own mounts are made by Cairn below `rootPath`, the same for every sandbox; the runtime adds what must be
 * mounted from inside the new namespaces.
 */
export function runtimeConfig(spec: SandboxSpec, options: RuntimeConfigOptions): object {
  const privileged = spec.privileged === true;
  const capabilities = commandCapabilities(privileged, options.bounding);
  return {
    ociVersion: '1.0.2',
    process: processSection(spec, capabilities),
    root: { path: options.rootPath },
    hostname: spec.hostname,
    mounts: [
      ...(options.restoreRootFlags ? rootFlags(spec, options.rootPath) : []),
      ...kernelMounts(privileged),
      ...(options.bootId?.kind === 'mount' ? [bootIdMount(options.bootId.path)] : []),
    ],
    ...(options.bootId?.kind === 'hook' ? { hooks: bootIdHook(options.rootPath, options.bootId) } : {}),
    ...(privileged || !options.filter ? {} : { annotations: filterAnnotation(options.filter) }),
    linux: {
      namespaces: [
        ...['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
        ...(spec.network === 'none' ? [{ type: 'network' }] : []),
      ],
      rootfsPropagation: 'rprivate',
      ...(privileged
        ? {}
        : {
            maskedPaths: [...maskedPaths, ...(spec.steady === undefined ? [] : machinePaths)],
            readonlyPaths: readOnlyPaths,
            ...seccompSection(options.arch),
          }),
    },
  };
}

function processSection(spec: SandboxSpec, capabilities: readonly CapabilityName[]): object {
  return {
    terminal: spec.terminal === true,
    user: {
      uid: spec.user.uid,
      gid: spec.user.gid,
      additionalGids: spec.user.additionalGids,
      umask: 0o022,
    },
    args: spec.argv,
    env: commandEnv(spec),
    cwd: spec.cwd,
    capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
    noNewPrivileges: false,
    ...(spec.limits?.length ? { rlimits: spec.limits.map(runtimeLimit) } : {}),
  };
}

/** Stands for RLIM_INFINITY (2^64 - 1), which a JavaScript number cannot hold; no word of a command has a NUL. */
const unlimited = '\0unlimited';

/** The text of a bundle's config.json. */
export function encodeRuntimeConfig(config: object): string {
  return JSON.stringify(config).replaceAll(JSON.stringify(unlimited), '18446744073709551615');
}

function runtimeLimit({ name, soft, hard }: ResourceLimit): object {
  const limit = (value: number) => (value < 0 ? unlimited : value);
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: limit(soft), hard: limit(hard) };
}

/** `/.` because crun 1.8 does not find the root under the name `/`. */
function rootFlags(spec: SandboxSpec, rootPath: string): readonly object[] {
  const flags = [
    ...(spec.privileged === true ? [] : ['nodev']),
    ...(spec.readOnlyRoot === true ? ['ro'] : []),
  ];
  if (flags.length === 0) return [];
  return [{ destination: '/.', type: 'bind', source: rootPath, options: ['remount', 'bind', ...flags] }];
}

/** What belongs to the command's own PID, IPC and network namespaces, with Docker's flags. */
function kernelMounts(privileged: boolean): readonly object[] {
  const safe = ['nosuid', 'noexec', 'nodev'];
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: safe },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: safe },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: privileged ? safe : [...safe, 'ro'] },
  ];
}

function bootIdMount(source: string): object {
  return { destination: bootIdPath, type: 'bind', source, options: ['bind', 'ro'] };
}

/** runc mounts nothing of others below /proc, but runs programs of the host in the namespace where it has just mounted it. */
function bootIdHook(
  rootPath: string,
  { path, mountProgram }: { readonly path: string; readonly mountProgram: string },
): object {
  const args = ['mount', '--no-mtab', '-o', 'bind,ro', path, `${rootPath}${bootIdPath}`];
  return { createContainer: [{ path: mountProgram, args, env: [] }] };
}

/** crun 0.17 and later take it instead of the profile, which stays for older ones. */
function filterAnnotation(filter: Buffer): object {
  return { 'run.oci.seccomp_bpf_data': filter.toString('base64') };
}

function seccompSection(arch: string): object {
  const architectures = seccompArchitectures[arch];
  if (architectures === undefined) return {};
  return {
    seccomp: {
      defaultAction: 'SCMP_ACT_ERRNO',
      defaultErrnoRet: deniedErrno,
      architectures,
      syscalls: [
        ...allowedSyscalls.map(({ names, test }) => ({
          names,
          action: 'SCMP_ACT_ALLOW',
          ...(test === undefined ? {} : { args: [seccompArgument(test)] }),
        })),
        { names: missingSyscalls, action: 'SCMP_ACT_ERRNO', errnoRet: missingErrno },
      ],
    },
  };
}

function seccompArgument(test: ArgumentTest): object {
  const index = test.argument;
  if ('is' in test) return { index, value: test.is, op: 'SCMP_CMP_EQ' };
  if ('isNot' in test) return { index, value: test.isNot, op: 'SCMP_CMP_NE' };
  return { index, value: test.lacksBits, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' };
}
