import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import type { TriedSandboxes } from '../store/contracts.ts';
import { isUserNamespace } from '../sys/index.ts';
import { builtinRuntime } from './builtin-runtime.ts';
import { capabilityNames } from './capabilities.ts';
import type { Sandbox, SandboxKind } from './contracts.ts';
import { findProgram } from './find-program.ts';
import { type LaunchOptions, launch } from './launch.ts';
import { ociRuntime } from './oci-runtime.ts';
import { tryOutName } from './try-out-name.ts';

type HostEnv = Readonly<Record<string, string | undefined>>;

export interface OpenSandboxOptions {
  /** The one to use; chosen as by `chooseSandbox` when absent. */
  readonly kind?: SandboxKind;
  /** The host's environment, of which PATH is used to find runtimes. */
  readonly env: HostEnv;
  /**
   * A folder in which to make the one for the try-out, such as the store's scratch, which is cleared up even when this process is
   * killed; TMPDIR or /tmp when absent.
   */
  readonly scratch?: string;
  /** What earlier processes found out: spares the try-out. */
  readonly tried?: TriedSandboxes;
}

/**
 * Opens a sandbox, ready to run commands, several at once too. A runtime is tried out first with a command that does
 * nothing, unless it is known from `tried`.
 * @throws {CairnError} SANDBOX_UNAVAILABLE when the wanted one, or any, does not work here: with the reason.
 */
export async function openSandbox({ kind, ...host }: OpenSandboxOptions): Promise<Sandbox> {
  if (kind !== undefined) return sandbox(await openRuntime(kind, host), host.tried);
  for (const candidate of ['crun', 'runc'] as const) {
    if (findProgram(candidate, host.env) === null) continue;
    try {
      return sandbox(await openRuntime(candidate, host), host.tried);
    } catch (error) {
      // Installed but of no use here (an old one on a new kernel, a container without the rights): the next one may do.
      if (!isFailure(error, 'SANDBOX_UNAVAILABLE')) throw error;
    }
  }
  return sandbox(await openRuntime('builtin', host), host.tried);
}

/**
 * Which sandbox runs commands on this machine when nobody says: crun, then runc, where installed and working, else the
 * built-in one.
 * @throws {CairnError} SANDBOX_UNAVAILABLE when none does.
 */
export async function chooseSandbox(env: HostEnv): Promise<SandboxKind> {
  return (await openSandbox({ env })).kind;
}

function sandbox({ options, name }: Opened, tried: TriedSandboxes | undefined): Sandbox {
  const forget = (error: unknown): never => {
    // What worked once may have ceased to: the next process tries it out again, and may choose another one.
    if (name !== undefined && isFailure(error, 'SANDBOX_FAILED')) tried?.remove(name);
    throw error;
  };
  return {
    kind: options.runtime.kind,
    run: (spec) => {
      const { done, kill } = launch(spec, options);
      return { done: done.catch(forget), kill };
    },
  };
}

function isFailure(error: unknown, code: string): boolean {
  return error instanceof CairnError && error.code === code;
}

type Host = Omit<OpenSandboxOptions, 'kind'>;

interface Opened {
  readonly options: LaunchOptions;
  /** Of its try-out; absent for what needs none. */
  readonly name?: string;
}

async function openRuntime(kind: SandboxKind, host: Host): Promise<Opened> {
  const { env } = host;
  checkPrivilege(kind);
  const setpriv = hostTool(kind, 'setpriv', env);
  const unshare = hostTool(kind, 'unshare', env);
  const options = {
    tools: { setpriv, shell: hostTool(kind, 'sh', env) },
    userNamespace: isUserNamespace(),
  };
  if (kind === 'builtin') return { options: { ...options, runtime: builtinRuntime({ unshare }) } };
  const program = findProgram(kind, env);
  if (program === null) {
    throw unavailable(kind, `${kind} is not installed`, `install ${kind}, or leave --sandbox out`);
  }
  const runtime = ociRuntime({ kind, program, unshare, mountProgram: hostTool(kind, 'mount', env) });
  const opened = { options: { ...options, runtime }, name: tryOutName(kind, program) };
  if (host.tried?.has(opened.name) === true) return opened;
  await tryOut(opened, host);
  host.tried?.add(opened.name);
  return opened;
}

/** Mounts need CAP_SYS_ADMIN, also in a user namespace. */
function checkPrivilege(kind: SandboxKind): void {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  const effective = BigInt(`0x${line?.[1] ?? '0'}`);
  const missing = (['CAP_SYS_ADMIN', 'CAP_SYS_CHROOT'] as const).filter(
    (name) => ((effective >> BigInt(capabilityNames.indexOf(name))) & 1n) === 0n,
  );
  if (missing.length === 0) return;
  throw unavailable(
    kind,
    `it needs ${missing.join(' and ')}, which this process lacks`,
    'run cairn as root, or let it enter a user namespace of its own',
  );
}

function hostTool(kind: SandboxKind, name: string, env: HostEnv): string {
  const path = findProgram(name, env);
  if (path !== null) return path;
  throw unavailable(kind, `the program "${name}" is not installed`, 'install util-linux');
}

/** By name, in this process. */
const tried = new Map<string, Promise<void>>();

/** Runs a program that cannot be started: whoever says that got as far as starting it. */
function tryOut({ options, name }: Required<Opened>, host: Host): Promise<void> {
  const known = tried.get(name);
  if (known !== undefined) return known;
  const result = probe(options, host);
  tried.set(name, result);
  return result;
}

async function probe(options: LaunchOptions, { env, scratch }: Host): Promise<void> {
  const said: Buffer[] = [];
  const folder = mkdtempSync(join(scratch ?? env.TMPDIR ?? '/tmp', 'cairn-sandbox-'));
  try {
    const lower = join(folder, 'lower');
    mkdirSync(lower);
    writeFileSync(join(lower, 'probe'), emptyProgram());
    chmodSync(join(lower, 'probe'), 0o755);
    const { done } = launch(
      {
        lowerDirs: [lower],
        scratch: folder,
        argv: ['/probe'],
        env: [],
        cwd: '/',
        user: { uid: 0, gid: 0, additionalGids: [] },
        hostname: 'probe',
        network: 'none',
        mounts: [],
        stdio: { kind: 'pipe', onOutput: (_stream, chunk) => said.push(Buffer.from(chunk)) },
      },
      options,
    );
    const { exitCode, startError } = await done;
    const reason = startError ?? Buffer.concat(said).toString('utf8').trim();
    if (!/exec/i.test(reason)) throw new Error(reason === '' ? `exit code ${exitCode}` : reason);
  } catch (error) {
    throw unavailable(
      options.runtime.kind,
      error instanceof Error ? error.message : String(error),
      `use another one (--sandbox crun, runc or builtin)`,
      error,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The ELF header of Node itself, with nothing behind it: for this processor, but nothing that the kernel can run. */
function emptyProgram(): Buffer {
  const header = Buffer.alloc(64);
  const fd = openSync(process.execPath, 'r');
  try {
    readSync(fd, header, 0, header.length, 0);
  } finally {
    closeSync(fd);
  }
  const segmentCount = 56;
  header.writeUInt16LE(0, segmentCount);
  return header;
}

function unavailable(kind: SandboxKind, reason: string, help: string, cause?: unknown): CairnError {
  return new CairnError('SANDBOX_UNAVAILABLE', {
    message: `the ${kind} sandbox does not work here: ${reason}`,
    help,
    ...(cause === undefined ? {} : { cause }),
  });
}
