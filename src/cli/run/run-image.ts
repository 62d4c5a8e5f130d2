import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolveUser } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import { hostPlatform, parsePlatform, parseReference, withDefaultTag } from '../../oci/index.ts';
import {
  openSandbox,
  type SandboxHandle,
  type SandboxMount,
  type SandboxRun,
  type SandboxSpec,
} from '../../run/index.ts';
import type { ImageRecord } from '../../store/contracts.ts';
import { hostPath, parseExtraHost, sandboxOf } from '../build/build-options.ts';
import { type Invocation, UsageError } from '../command.ts';
import { unsupported } from '../dispatch.ts';
import type { FlagValues } from '../flags/index.ts';
import { parseByteSize } from '../format/human-size.ts';
import type { Host } from '../host.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { requirePlatform } from '../platform-flag.ts';
import { printError } from '../print-error.ts';
import { basePuller } from '../registry/base-puller.ts';
import { writeOutputFile } from '../write-output.ts';
import { commandLine } from './command-line.ts';
import { checkEnvEntry, containerEnv, readEnvFile } from './container-env.ts';
import { parseMount, parseTmpfs, parseVolume, volumeStandIns } from './container-mounts.ts';
import { absentRunFlags } from './run-flags.ts';

/** Exit code of everything that goes wrong before the command starts. */
const notStarted = 125;

/** `cairn run`, once its flags are parsed. @returns the exit code, the command's own when it ran */
export async function runImage(invocation: Invocation): Promise<number> {
  const { host } = invocation;
  try {
    return await withStore(host, (store) => runCommand(invocation, store));
  } catch (error) {
    if (!(error instanceof CairnError) || host.signal.aborted) throw error;
    printError(host, error);
    return notStarted;
  }
}

async function runCommand({ host, flags, args }: Invocation, store: OpenStore): Promise<number> {
  const [image = '', ...words] = args;
  refuseAbsent(flags);
  const terminal = flags.bool('tty');
  const stdin = flags.bool('interactive');
  if (terminal && stdin && !host.stdin.isTty) {
    host.stderr.write('the input device is not a TTY\n');
    return 1;
  }
  if (host.enterNamespace !== null) return host.enterNamespace();
  const id = randomBytes(32).toString('hex');
  const record = await findImage(host, store, image, flags);
  const spec = await sandboxSpec({ host, flags, store, record, words, id });
  const cidFile = writeCidFile(flags.text('cidfile'), host, id);
  try {
    const kind = sandboxOf(flags.text('sandbox') ?? host.env.CAIRN_SANDBOX);
    const sandbox = await openSandbox({
      ...(kind ? { kind } : {}),
      env: host.env,
      tried: store.triedSandboxes,
    });
    return finish(
      host,
      await supervise(host, flags.bool('sig-proxy'), (signal) => sandbox.run({ ...spec, signal })),
    );
  } catch (error) {
    if (cidFile) rmSync(cidFile, { force: true });
    throw error;
  }
}

function refuseAbsent(flags: FlagValues): void {
  for (const { name, kind } of absentRunFlags) {
    if (kind === 'bool' ? !flags.bool(name) : !flags.has(name)) continue;
    if (name === 'restart' && flags.text(name) === 'no') continue;
    throw unsupported(
      `--${name}`,
      name === 'detach' ? 'leave -d out: the command runs in the foreground' : undefined,
    );
  }
  const name = flags.text('name');
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name))
    throw new CairnError('USAGE', {
      message: `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    });
}

async function findImage(
  host: Host,
  store: OpenStore,
  name: string,
  flags: FlagValues,
): Promise<ImageRecord> {
  const pull = flags.text('pull') ?? 'missing';
  if (!['always', 'missing', 'never'].includes(pull))
    throw new CairnError('USAGE', {
      message: `invalid pull option: '${pull}': must be one of "always", "missing" or "never"`,
    });
  const isId = /^(?:sha256:)?[0-9a-f]{64}$/.test(name);
  const reference = isId ? null : withDefaultTag(parseReference(name));
  const wanted = flags.text('platform');
  const platform = wanted === undefined ? hostPlatform() : parsePlatform(wanted, hostPlatform());
  const present =
    pull === 'always' ? null : store.images.find(name, wanted === undefined ? {} : { platform });
  const puller = pull === 'never' ? undefined : basePuller(host, store, !flags.bool('quiet'));
  if (present !== null || reference === null || puller === undefined) {
    // Throws with Docker's wording when there is none.
    if (present === null && pull !== 'never') sayMissing(host, name);
    const found = present ?? store.images.get(name);
    requirePlatform(found, wanted);
    return found;
  }
  if (pull === 'missing') sayMissing(host, name);
  const pulled = await puller(reference, platform);
  requirePlatform(pulled, wanted);
  return pulled;
}

function sayMissing(host: Host, name: string): void {
  host.stderr.write(`Unable to find image '${withTag(name)}' locally\n`);
}

function withTag(name: string): string {
  return /[:@][^/]*$/.test(name) ? name : `${name}:latest`;
}

interface SpecInputs {
  readonly host: Host;
  readonly flags: FlagValues;
  readonly store: OpenStore;
  readonly record: ImageRecord;
  readonly words: readonly string[];
  readonly id: string;
}

/** Everything about the command but its life: see `SandboxSpec`. */
async function sandboxSpec({ host, flags, store, record, words, id }: SpecInputs): Promise<SandboxSpec> {
  const config = record.config.config ?? {};
  const layers = record.config.rootfs.diff_ids;
  const network = networkOf(flags.text('network') ?? flags.text('net'));
  const name = flags.text('hostname') ?? (network.isExplicitHost ? hostname() : id.slice(0, 12));
  const argv = commandLine(config, words, flags.text('entrypoint'));
  const cwd = workdirOf(flags.text('workdir') ?? config.WorkingDir);
  const userEnv = [
    ...flags.list('env-file').flatMap((path) => readEnvFile(hostPath(host, path))),
    ...flags.list('env').map(checkEnvEntry),
  ];
  const given = flags.list('volume').map((text) => parseVolume(text, host.cwd));
  const binds = given.filter((mount): mount is SandboxMount => 'kind' in mount);
  const anonymous = given.flatMap((mount) => ('anonymous' in mount ? [mount.anonymous] : []));
  const mounts = [...binds, ...flags.list('mount').map(parseMount), ...flags.list('tmpfs').map(parseTmpfs)];
  const shmSizeBytes = parseByteSize(flags.text('shm-size') ?? '');
  const tree = store.layers.tree(layers);
  const { home, ...user } = resolveUser(store.layers, tree, flags.text('user') ?? config.User ?? '');
  const scratch = store.scratch();
  const standIns = volumeStandIns([...Object.keys(config.Volumes ?? {}), ...anonymous], {
    tree,
    scratch,
    taken: new Set(mounts.map((mount) => mount.target)),
  });
  const terminal = flags.bool('tty');
  return {
    lowerDirs: await store.layers.unpacked(layers),
    scratch,
    argv,
    env: containerEnv({
      image: config.Env ?? [],
      user: userEnv,
      hostname: name,
      terminal,
      home,
      host: host.env,
    }),
    cwd,
    user,
    hostname: name,
    network: network.mode,
    mounts: [...mounts, ...standIns],
    extraHosts: flags.list('add-host').map(parseExtraHost),
    privileged: flags.bool('privileged'),
    readOnlyRoot: flags.bool('read-only'),
    terminal,
    stdio: { kind: 'inherit', stdin: flags.bool('interactive') },
    ...(shmSizeBytes === null ? {} : { shmSizeBytes }),
  };
}

function networkOf(text: string | undefined): {
  readonly mode: 'host' | 'none';
  readonly isExplicitHost: boolean;
} {
  if (text === undefined || text === 'default') return { mode: 'host', isExplicitHost: false };
  if (text === 'host' || text === 'none') return { mode: text, isExplicitHost: text === 'host' };
  if (text === 'bridge') throw unsupported('--network bridge', 'use "host" (the default) or "none"');
  throw new CairnError('USAGE', {
    message: `network ${text} not found`,
    help: 'networks here are "host" (the default) and "none"',
  });
}

function workdirOf(path: string | undefined): string {
  if (path === undefined || path === '') return '/';
  if (path.startsWith('/')) return path;
  throw new CairnError('USAGE', {
    message: `the working directory '${path}' is invalid, it needs to be an absolute path`,
  });
}

function writeCidFile(path: string | undefined, host: Host, id: string): string | undefined {
  if (!path) return undefined;
  const file = hostPath(host, path);
  if (existsSync(file))
    throw new UsageError(
      `container ID file found, make sure the other container isn't running or delete ${path}`,
    );
  writeOutputFile(host, path, id);
  return file;
}

/** Signals of this kind after which Docker's client gives up on a command that ignores them. */
const patience = 3;

/** Runs with signals passed on; the third Ctrl-C in a row ends the command whatever it does. */
async function supervise(
  host: Host,
  proxySignals: boolean,
  start: (signal: AbortSignal) => SandboxHandle,
): Promise<SandboxRun> {
  const abort = new AbortController();
  const onAbort = (): void => abort.abort(host.signal.reason);
  host.signal.addEventListener('abort', onAbort, { once: true });
  let handle: SandboxHandle | undefined;
  let fatal = 0;
  const release = proxySignals
    ? host.takeSignals((signal) => {
        if (['SIGINT', 'SIGTERM'].includes(signal) && ++fatal >= patience) {
          host.stderr.write(`got ${patience} SIGTERM/SIGINTs, forcefully exiting\n`);
          abort.abort(signal);
        } else handle?.kill(signal);
      })
    : () => {};
  try {
    handle = start(abort.signal);
    return await handle.done;
  } catch (error) {
    if (fatal >= patience) return { exitCode: 137, upperDir: '' };
    throw error;
  } finally {
    release();
    host.signal.removeEventListener('abort', onAbort);
  }
}

function finish(host: Host, result: SandboxRun): number {
  if (result.startError !== undefined) {
    const help = 'check that the program exists in the image and is executable';
    printError(host, new CairnError('COMMAND_NOT_STARTED', { message: result.startError, help }));
  }
  return result.exitCode;
}
