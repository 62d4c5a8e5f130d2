import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { CairnError } from '../../errors/index.ts';

export interface KeyAgentOptions {
  /** Files with private keys. */
  readonly keys: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A private folder for the socket. */
  readonly folder: string;
}

/** As in BuildKit. */
const maxKeyBytes = 100 << 10;

/** A socket's path may have 107 bytes only: the program starts in the socket's folder and uses a short name. */
const socketName = 'agent';

/**
 * An ssh-agent for a few keys. It lives as long as a shell that waits for the end of its input, which is a pipe from
 * here: when this process dies, in whatever way, the agent goes too.
 */
export class KeyAgent {
  readonly #keeper: ChildProcess;
  readonly #folderFd: number;

  /** Path of the agent's socket, valid in this process until `stop`. */
  readonly socket: string;

  private constructor(keeper: ChildProcess, folderFd: number) {
    this.#keeper = keeper;
    this.#folderFd = folderFd;
    this.socket = `/proc/self/fd/${folderFd}/${socketName}`;
  }

  /** @throws {CairnError} PROGRAM_NOT_FOUND, SSH_INVALID for a key that cannot be read or has a passphrase */
  static async start(options: KeyAgentOptions): Promise<KeyAgent> {
    const keeper = await startAgent(options);
    const agent = new KeyAgent(keeper, openSync(options.folder, constants.O_RDONLY | constants.O_DIRECTORY));
    try {
      for (const key of options.keys) await addKey(key, options);
      return agent;
    } catch (error) {
      agent.stop();
      throw error;
    }
  }

  stop(): void {
    this.#keeper.stdin?.end();
    closeSync(this.#folderFd);
  }
}

const keeperScript = 'echo ready; cat >/dev/null; kill "$SSH_AGENT_PID"';

function startAgent({ env, folder }: KeyAgentOptions): Promise<ChildProcess> {
  const child = spawn('ssh-agent', ['-a', socketName, '/bin/sh', '-c', keeperScript], {
    cwd: folder,
    env: environment(env),
    stdio: ['pipe', 'pipe', 'ignore'],
    // In a session of its own it gets no Ctrl-C: steps that use it end first.
    detached: true,
  });
  return new Promise((resolve, reject) => {
    child.once('error', (error) => reject(notStarted('ssh-agent', error)));
    child.once('exit', (code) => reject(notStarted('ssh-agent', new Error(`it ended with code ${code}`))));
    // The agent may be gone before its input is closed.
    child.stdin?.on('error', () => undefined);
    child.stdout?.once('data', () => {
      child.stdout?.destroy();
      // It must not keep a finished build waiting.
      child.unref();
      (child.stdin as { unref?: () => void } | null)?.unref?.();
      resolve(child);
    });
  });
}

/** The key comes through the standard input: ssh-add would refuse a file that others may read, as checkouts make them. */
function addKey(path: string, { env, folder }: KeyAgentOptions): Promise<void> {
  const bytes = readKey(path);
  const child = spawn('ssh-add', ['-q', '-'], {
    cwd: folder,
    env: { ...environment(env), SSH_AUTH_SOCK: socketName, SSH_ASKPASS_REQUIRE: 'never' },
    stdio: ['pipe', 'ignore', 'pipe'],
    // Without a terminal it cannot ask for a passphrase.
    detached: true,
  });
  return new Promise((resolve, reject) => {
    let said = '';
    child.once('error', (error) => reject(notStarted('ssh-add', error)));
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(bytes);
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-2000);
    });
    child.once('close', (code) => (code === 0 ? resolve() : reject(badKey(path, said))));
  });
}

function readKey(path: string): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw badKey(path, (error as Error).message);
  }
  if (bytes.length > maxKeyBytes) throw badKey(path, `it has more than ${maxKeyBytes} bytes`);
  return bytes;
}

function environment(env: KeyAgentOptions['env']): Record<string, string> {
  return { PATH: env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' };
}

function badKey(path: string, why: string): CairnError {
  const reason = why.trim().split('\n').at(-1) ?? '';
  return new CairnError('SSH_INVALID', {
    message: `cannot use "${path}" as a private key${reason === '' ? '' : `: ${reason}`}`,
    help: 'for a key with a passphrase, add it to an agent (ssh-add) and give --ssh default',
  });
}

function notStarted(program: string, cause: Error): CairnError {
  const isMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  return new CairnError(isMissing ? 'PROGRAM_NOT_FOUND' : 'SSH_INVALID', {
    message: isMissing
      ? `--ssh with keys needs ${program}, which is not installed`
      : `${program} could not be started: ${cause.message}`,
    help: isMissing
      ? 'install openssh-client, or give the socket of an agent'
      : 'give the socket of an agent instead',
    cause,
  });
}
