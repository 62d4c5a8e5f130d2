import { spawn } from 'node:child_process';
import { CairnError } from '../../errors/index.ts';
import type { HostEnv } from '../../registry/http/index.ts';
import { redactUrl } from '../../registry/http/index.ts';

export interface GitProgramOptions {
  /** PATH and the proxy variables are taken from it, nothing else. */
  readonly env: HostEnv;
  /** A private folder: HOME, and where ssh notes the host keys that it meets. */
  readonly scratch: string;
  /** Given as they are in `git -c`, but not on the command line, where every user of the machine could read them. */
  readonly config: Readonly<Record<string, string>>;
  /** Socket of the ssh agent whose keys may be used; none when absent. */
  readonly sshAuthSock?: string;
  /** A known_hosts file of the user; hosts that it does not know are accepted. */
  readonly knownHosts?: string;
  /** Also reach repositories on this machine. */
  readonly allowFile?: boolean;
  readonly signal: AbortSignal;
}

/** What git said when it failed. */
export class GitFailure extends Error {
  readonly stderr: string;
  constructor(command: string, stderr: string) {
    super(`git ${command}: ${stderr}`);
    this.stderr = stderr;
  }
}

/** What works the same for every user on every machine: nobody's settings, no hooks, no helpers, no questions. */
const fixedConfig: Readonly<Record<string, string>> = {
  'advice.detachedHead': 'false',
  'core.askPass': '',
  'core.fsmonitor': 'false',
  'core.hooksPath': '/dev/null',
  'core.logAllRefUpdates': 'false',
  'credential.helper': '',
  // A pack is complete or not there; loose objects could be some of them, after a kill.
  'fetch.unpackLimit': '1',
  'fetch.writeCommitGraph': 'false',
  'gc.auto': '0',
  'init.defaultBranch': 'master',
  'maintenance.auto': 'false',
  'pack.threads': '1',
  'pack.writeReverseIndex': 'false',
  'protocol.version': '2',
  'repack.writeBitmaps': 'false',
  'submodule.recurse': 'false',
};

const maxOutputBytes = 64 << 20;
const maxMessageBytes = 16_384;
const killAfterMs = 10_000;

/** The git program in an environment of its own (gitutil.GitCLI in BuildKit). */
export class GitProgram {
  readonly #options: GitProgramOptions;
  readonly #env: Readonly<Record<string, string>>;

  constructor(options: GitProgramOptions) {
    this.#options = options;
    this.#env = environment(options);
  }

  /**
   * Runs git with umask 022 in `cwd`. @returns its output
   * @throws {GitFailure} when it fails; {CairnError} GIT_FAILED when it cannot be started; the signal's reason
   */
  run(args: readonly string[], cwd: string = this.#options.scratch): Promise<string> {
    const { signal } = this.#options;
    signal.throwIfAborted();
    // The modes of checked out files must not depend on the caller's umask.
    const child = spawn('/bin/sh', ['-c', 'umask 022 && exec git "$@"', 'sh', ...args], {
      cwd,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
      // git starts ssh, remote helpers and more: all of them end with it.
      detached: true,
    });
    const kill = (name: NodeJS.Signals) => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, name);
      } catch {
        // It has ended meanwhile.
      }
    };
    let killer: NodeJS.Timeout | undefined;
    const abort = () => {
      kill('SIGTERM');
      killer = setTimeout(() => kill('SIGKILL'), killAfterMs);
    };
    signal.addEventListener('abort', abort, { once: true });
    const output: Buffer[] = [];
    let size = 0;
    let message = '';
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxOutputBytes) output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      message = (message + chunk.toString('utf8')).slice(-maxMessageBytes);
    });
    return new Promise<string>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        if (signal.aborted) reject(signal.reason);
        else if (code === 127) reject(notInstalled(message));
        else if (code !== 0) reject(new GitFailure(args.join(' '), message.trim()));
        else resolve(Buffer.concat(output).toString('utf8'));
      });
    }).finally(() => {
      signal.removeEventListener('abort', abort);
      clearTimeout(killer);
    });
  }

  /** As `run`, for commands that may fail. @returns null then */
  async try(args: readonly string[], cwd?: string): Promise<string | null> {
    try {
      return await this.run(args, cwd);
    } catch (error) {
      if (error instanceof GitFailure) return null;
      throw error;
    }
  }
}

const passedOn = ['PATH', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'GIT_SSL_CAINFO'];
const proxyNames = ['http_proxy', 'https_proxy', 'no_proxy', 'all_proxy'];

function environment(options: GitProgramOptions): Readonly<Record<string, string>> {
  const { env, scratch, sshAuthSock, allowFile } = options;
  const names = [...passedOn, ...proxyNames, ...proxyNames.map((name) => name.toUpperCase())];
  const host = names.flatMap((name) => {
    const value = env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const config = Object.entries({ ...fixedConfig, ...options.config });
  return {
    ...Object.fromEntries(host),
    LC_ALL: 'C',
    HOME: scratch,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_TEMPLATE_DIR: '',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_LFS_SKIP_SMUDGE: '1',
    GIT_ALLOW_PROTOCOL: `http:https:ssh:git${allowFile ? ':file' : ''}`,
    GIT_SSH_COMMAND: sshCommand(options),
    GIT_SSH_VARIANT: 'ssh',
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(
      config.flatMap(([key, value], i) => [
        [`GIT_CONFIG_KEY_${i}`, key],
        [`GIT_CONFIG_VALUE_${i}`, value],
      ]),
    ),
    ...(sshAuthSock === undefined ? {} : { SSH_AUTH_SOCK: sshAuthSock }),
  };
}

/** Only the agent's keys; a host that is new is believed, one whose known key changed is not. */
function sshCommand({ scratch, knownHosts }: GitProgramOptions): string {
  const files = [`${scratch}/known_hosts`, ...(knownHosts === undefined ? [] : [knownHosts])];
  const options = [
    'BatchMode=yes',
    'IdentityFile=none',
    'StrictHostKeyChecking=accept-new',
    `UserKnownHostsFile=${files.map((file) => `"${file}"`).join(' ')}`,
  ];
  return `ssh -F /dev/null ${options.map((option) => `-o ${quoted(option)}`).join(' ')}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function notInstalled(message: string): CairnError {
  return new CairnError('GIT_FAILED', {
    message: 'fetching a git repository needs the program "git", which is not installed',
    help: 'install git, or use a tarball of the repository',
    cause: new Error(message),
  });
}

/** The error for what git could not do with a remote, with its own words; credentials are taken out. */
export function gitFailed(what: string, remote: string, error: unknown): unknown {
  if (!(error instanceof GitFailure)) return error;
  const words = error.stderr
    .split('\n')
    .map((line) =>
      line.replace(/[a-zA-Z][a-zA-Z0-9+.-]*:\/\/\S+/g, redactUrl).replace(/[\x00-\x08\x0b-\x1f\x7f]/g, ''),
    )
    .filter((line) => line.trim() !== '');
  return new CairnError('GIT_FAILED', {
    message: `cannot ${what} "${redactUrl(remote)}"`,
    notes: words.slice(-8).map((message) => ({ message: `git: ${message}` })),
    help: helpFor(error.stderr),
  });
}

function helpFor(stderr: string): string {
  if (/could not read Username|Authentication failed|terminal prompts disabled|403|401/.test(stderr))
    return 'the server wants credentials: give them as the secret GIT_AUTH_TOKEN or GIT_AUTH_HEADER';
  if (/Permission denied \(|publickey/.test(stderr))
    return 'the server wants an ssh key: start ssh-agent, add the key, and pass --ssh default';
  if (/transport '.*' not allowed/.test(stderr))
    return 'a repository may name submodules over http, https, ssh and git only';
  return 'check the URL and the network; an http(s) repository needs the ending .git';
}
