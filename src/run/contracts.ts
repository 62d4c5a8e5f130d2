import type { ByteString } from '../sys/index.ts';

/** Which sandbox runs a command: an OCI runtime, or the built-in one on util-linux. */
export type SandboxKind = 'crun' | 'runc' | 'builtin';

export type NetworkMode = 'host' | 'none';

/**
 * Something mounted over the root file system for one command; never part of the layer. Targets are absolute; one that the
 * image lacks is created and taken away again. Of two mounts with one target the later one counts.
 */
export type SandboxMount =
  /** A file, folder or socket of the host. */
  | {
      readonly kind: 'bind';
      readonly source: string;
      /** What of `source` to show, links followed inside it only; all of it when absent. */
      readonly path?: string;
      readonly target: string;
      readonly readOnly: boolean;
    }
  /** A union of folders (base first, none for an empty folder), written to freely and thrown away with `scratch`. */
  | {
      readonly kind: 'overlay';
      readonly lowerDirs: readonly string[];
      /** What of the union to show, links followed inside it only; all of it when absent. */
      readonly path?: string;
      readonly target: string;
      readonly readOnly: boolean;
    }
  | {
      readonly kind: 'tmpfs';
      readonly target: string;
      readonly sizeBytes?: number;
      readonly mode?: number;
      readonly readOnly?: boolean;
    }
  /** A read-only file that exists in memory only, inside the command's own mount namespace. */
  | {
      readonly kind: 'file';
      readonly content: Uint8Array;
      readonly target: string;
      readonly mode: number;
      readonly uid: number;
      readonly gid: number;
    };

/** A user as numbers, looked up by the caller in the root file system's passwd and group. */
export interface SandboxUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** Names of resource limits (setrlimit(2)), as `--ulimit` has them, with their numbers in the kernel. */
export const resourceLimits = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;

/** A limit in the kernel's units; -1 is none. */
export interface ResourceLimit {
  readonly name: keyof typeof resourceLimits;
  readonly soft: number;
  readonly hard: number;
}

/** One command in one root file system. */
export interface SandboxSpec {
  /** Overlay lower directories, base layer first (LayerStore.unpacked); may be empty (FROM scratch). */
  readonly lowerDirs: readonly string[];
  /** A private folder of the store in which upper, work and bundle are made; the caller removes it. */
  readonly scratch: string;
  readonly argv: readonly string[];
  /** NAME=value, in order. HOME should be among them: without it the command gets `HOME=/`. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: SandboxUser;
  readonly hostname: string;
  readonly network: NetworkMode;
  readonly mounts: readonly SandboxMount[];
  /** Content of /etc/hosts beyond the constant part: `name ip` pairs of --add-host. */
  readonly extraHosts?: readonly (readonly [name: string, ip: string])[];
  /** Full capabilities, no seccomp filter, nothing masked (RUN --security=insecure, run --privileged). */
  readonly privileged?: boolean;
  /** Root file system mounted read-only (run --read-only). */
  readonly readOnlyRoot?: boolean;
  /**
   * Hold still what the kernel would give the command differently each time (builds, whose results must not depend on it):
   * addresses are not randomised, the boot ID is constant, the machine's own serial numbers do not show.
   */
  readonly steady?: {
    /** The command runs on, and counts, so many CPUs: at most those that this process may use. */
    readonly cpus?: number;
    /** Process IDs go on from here (built-in sandbox, where the kernel allows it), for who looks for what depends on them. */
    readonly lastPid?: number;
    /** Of the process that starts the command; nothing of it may reach the command. */
    readonly umask?: number;
  };
  /** Size of /dev/shm; 64 MiB when absent. */
  readonly shmSizeBytes?: number;
  /** Resource limits that differ from those of this process. */
  readonly limits?: readonly ResourceLimit[];
  /** A pseudo-terminal for the command (run -t); stdio must then be 'inherit'. */
  readonly terminal?: boolean;
  readonly stdio: /** This process's own stdin (or none), stdout and stderr. */
    | { readonly kind: 'inherit'; readonly stdin: boolean }
    /** No stdin; output is handed over as it comes. */
    | { readonly kind: 'pipe'; readonly onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => void };
  /** Kills every process of the command. */
  readonly signal?: AbortSignal;
}

export interface SandboxResult {
  /** The command's own exit code; 128 + n after death by signal n. */
  readonly exitCode: number;
  /** Set when the command could not be started: 126 (not executable) or 127 (not found) is `exitCode` then. */
  readonly startError?: string;
}

/** A finished command and the changes it made. */
export interface SandboxRun extends SandboxResult {
  /** The overlay's upper directory: plain files on the host, with overlay's whiteouts; stubs already removed. */
  readonly upperDir: string;
}

/**
 * Runs one command. Mounts are made in a private mount namespace only; when the returned promise settles, or this
 * process dies in any way, no process and no mount of the command is left.
 * `kill` delivers a signal to the command's first process (run forwards its own signals).
 */
export interface Sandbox {
  readonly kind: SandboxKind;
  run(spec: SandboxSpec): SandboxHandle;
}

export interface SandboxHandle {
  readonly done: Promise<SandboxRun>;
  kill(signal: NodeJS.Signals): void;
}

export type { ByteString };
