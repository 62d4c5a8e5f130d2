/**
 * Everything a command needs from the process around it. Made once, in main.ts; nothing else in Cairn reads the
 * environment, the arguments or the clock.
 */
export interface Host {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Aborted by the first SIGINT or SIGTERM, whose name is the reason; the second ends the process. */
  readonly signal: AbortSignal;
  /**
   * Takes the signals over, for `run`, which passes them on: the handler gets every one and nothing is aborted.
   * @returns what gives them back
   */
  readonly takeSignals: (handler: (signal: NodeJS.Signals) => void) => () => void;
  /**
   * Starts this command again in a user namespace, where an ordinary user may make mounts, and waits for its exit code. Null where it is
   * not needed (root) or of no further use (inside of one).
   * @throws {CairnError} SANDBOX_UNAVAILABLE where no namespace is to be had
   */
  readonly enterNamespace: (() => Promise<number>) | null;
  /** The store's folder, absolute: `--root`, `$CAIRN_ROOT`, or the default of this user. */
  readonly root: string;
  /** `--debug`: internal errors show their stack. */
  readonly debug: boolean;
}

export interface InputStream {
  readonly isTty: boolean;
  /** File descriptor. */
  readonly fd: number;
  /** The bytes until the end of input. */
  readonly chunks: () => AsyncIterable<Uint8Array>;
}

export interface OutputStream {
  readonly isTty: boolean;
  readonly fd: number;
  /** Columns of the terminal; 80 when there is none. */
  readonly columns: number;
  readonly write: (data: string | Uint8Array) => void;
  /** Node's stream object, for what redraws a terminal. */
  readonly stream: () => NodeJS.WriteStream;
}

/** Where the store lies when the user does not say: `/var/lib/cairn` for root, the XDG data folder for others. */
export function defaultRoot(env: Readonly<Record<string, string | undefined>>, uid: number): string {
  if (env.CAIRN_ROOT) return env.CAIRN_ROOT;
  if (uid === 0) return '/var/lib/cairn';
  if (env.XDG_DATA_HOME) return `${env.XDG_DATA_HOME}/cairn`;
  return `${env.HOME ?? '/tmp'}/.local/share/cairn`;
}
