import { resolve } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { isatty } from 'node:tty';
import { defaultRoot, type Host, type InputStream, type OutputStream } from './host.ts';
import { joinOuterProcess } from './namespace/inner-process.ts';
import { hasMountRights } from './namespace/mount-rights.ts';

/** Exit code of a process that SIGPIPE ends; what `cairn images | head` sees. */
const brokenPipe = 141;

/** Wraps this process. @param options - of the command line, before the verb */
export function processHost(options: { readonly root?: string | undefined; readonly debug: boolean }): Host {
  const uid = process.getuid?.() ?? 0;
  const cwd = process.cwd();
  const signals = new SignalDesk();
  const root = resolve(cwd, options.root ?? defaultRoot(process.env, uid));
  const isInner = joinOuterProcess();
  return {
    env: process.env,
    cwd,
    stdin: inputStream(signals.signal),
    stdout: outputStream(1, () => process.stdout),
    stderr: outputStream(2, () => process.stderr),
    now: Date.now,
    signal: signals.signal,
    takeSignals: (handler) => signals.take(handler),
    enterNamespace: isInner || hasMountRights() ? null : () => startAgain(signals, { uid, root }),
    root,
    debug: options.debug,
  };
}

async function startAgain(
  signals: SignalDesk,
  { uid, root }: { readonly uid: number; readonly root: string },
): Promise<number> {
  const { enterNamespace } = await import('./namespace/enter-namespace.ts');
  // They are the other process's from here on.
  const release = signals.take(() => undefined);
  try {
    const commandLine = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    return await enterNamespace({ env: process.env, uid, root, commandLine });
  } finally {
    release();
  }
}

function inputStream(signal: AbortSignal): InputStream {
  // Ctrl-C while waiting for input ends the wait.
  return { isTty: isatty(0), fd: 0, chunks: () => addAbortSignal(signal, process.stdin) };
}

function outputStream(fd: 1 | 2, stream: () => NodeJS.WriteStream): OutputStream {
  let opened: NodeJS.WriteStream | undefined;
  // Node's stream objects load net and tty: only when something is written.
  const open = (): NodeJS.WriteStream => {
    if (opened) return opened;
    opened = stream();
    opened.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(brokenPipe);
      // Nothing can be written there any more; a full disk must not pass for success.
      if (fd === 1) process.stderr.write(`cairn: cannot write to standard output: ${error.message}\n`);
      process.exit(1);
    });
    return opened;
  };
  return {
    isTty: isatty(fd),
    fd,
    get columns() {
      return isatty(fd) ? open().columns || 80 : 80;
    },
    write: (data) => {
      open().write(data);
    },
    stream: open,
  };
}

const fatal: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const forwarded: readonly NodeJS.Signals[] = [
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

/** Listens for signals: by default the first aborts and the second ends the process at once. */
class SignalDesk {
  readonly #controller = new AbortController();
  #handler: ((signal: NodeJS.Signals) => void) | null = null;
  readonly #onFatal = (signal: NodeJS.Signals): void => {
    if (this.#handler) this.#handler(signal);
    else if (this.#controller.signal.aborted) process.exit(fatal[signal] ?? 1);
    else this.#controller.abort(signal);
  };

  constructor() {
    for (const signal of Object.keys(fatal) as NodeJS.Signals[]) process.on(signal, this.#onFatal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  take(handler: (signal: NodeJS.Signals) => void): () => void {
    this.#handler = handler;
    const others = forwarded.filter((signal) => fatal[signal] === undefined);
    for (const signal of others) process.on(signal, handler);
    return () => {
      this.#handler = null;
      for (const signal of others) process.off(signal, handler);
    };
  }
}
