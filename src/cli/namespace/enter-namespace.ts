import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { constants, userInfo } from 'node:os';
import { CairnError } from '../../errors/index.ts';
import { findProgram, userNamespaceCommand } from '../../run/index.ts';
import { enteredMark, type SignalMessage } from './inner-process.ts';

export interface EnterOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** The store of this user: inside, where everybody is root, it would be looked for elsewhere. */
  readonly root: string;
  /** Program and arguments that start this command again. */
  readonly commandLine: readonly string[];
}

/**
 * Starts this command once more as root of a user namespace, with the same streams and terminal, and waits for it. Signals are passed on.
 * The death of this process, however it comes about, is that of all processes in the namespace.
 * @returns its exit code
 * @throws {CairnError} SANDBOX_UNAVAILABLE where no namespace is to be had; nothing was started then
 */
export async function enterNamespace({ env, uid, root, commandLine }: EnterOptions): Promise<number> {
  const setpriv = findProgram('setpriv', env);
  const [program, ...args] = [
    // What unshare itself is killed by; its own child dies with it (--kill-child).
    ...(setpriv === null ? [] : [setpriv, '--pdeathsig', 'KILL', '--']),
    ...workingPrefix(env, uid),
    ...commandLine,
  ];
  const child = spawn(program as string, args, {
    env: { ...env, CAIRN_ROOT: root, [enteredMark]: '1' },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    // A session of its own: what the terminal sends (Ctrl-C) comes to this process only, and from here exactly once.
    detached: true,
  });
  const release = passSignals(child);
  try {
    return await exitCodeOf(child);
  } finally {
    release();
  }
}

/** The argv before a command that runs in a namespace; with subordinate ids where they are of use. */
function workingPrefix(env: EnterOptions['env'], uid: number): readonly string[] {
  const reasons: string[] = [];
  for (const onlyOwnId of [false, true]) {
    const prefix = userNamespaceCommand(env, { name: userName(uid), uid, onlyOwnId });
    if (prefix === null) throw unavailable('the program "unshare" is not installed', 'install util-linux');
    const [program, ...args] = [...prefix, findProgram('true', env) ?? '/bin/true'];
    const { status, stderr, error } = spawnSync(program as string, args, { encoding: 'utf8' });
    if (status === 0) return prefix;
    reasons.push((error?.message ?? stderr).trim().split('\n')[0] ?? '');
  }
  throw unavailable(
    reasons.at(-1) ?? '',
    'let the kernel allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns), or run cairn as root',
  );
}

function unavailable(reason: string, help: string): CairnError {
  return new CairnError('SANDBOX_UNAVAILABLE', {
    message: `commands of images need root or a user namespace, and none is to be had: ${reason}`,
    help,
  });
}

/** As /etc/subuid has it. */
function userName(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    // A user whom no passwd entry names.
    return String(uid);
  }
}

const passed: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGTERM',
  'SIGHUP',
  'SIGQUIT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGWINCH',
  'SIGCONT',
  'SIGALRM',
];

function passSignals(child: ChildProcess): () => void {
  const pass = (signal: NodeJS.Signals): void => {
    const message: SignalMessage = { signal };
    // It may be gone already: its exit is on its way.
    if (child.connected) child.send(message, () => undefined);
  };
  for (const signal of passed) process.on(signal, pass);
  return () => {
    for (const signal of passed) process.off(signal, pass);
  };
}

function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        unavailable(`it could not be started: ${cause.message}`, 'check the installation of util-linux'),
      ),
    );
    child.once('exit', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}
