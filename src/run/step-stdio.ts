import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { ReadStream } from 'node:tty';
import { enterRawMode, openPipe, openTerminal, setWindowSize } from '../sys/index.ts';
import type { SandboxSpec } from './contracts.ts';

/** Standard input, output and error of one command. Either `copy` or `discard` must be called, once. */
export interface StepStdio {
  /** File descriptors for the command. */
  readonly fds: readonly [stdin: number, stdout: number, stderr: number];
  /** Closes the command's ends here and copies until its last process has closed them. */
  copy(): Promise<void>;
  /** Closes everything; nothing was started. */
  discard(): void;
}

/**
 * True pipes, copied by this process: socket pairs cannot be opened by way of /dev/stdout, and a runtime changes the owner of what
 * it gets, which must not be a user's own files. Without input stdin is an empty pipe, as in BuildKit.
 */
export function pipeStdio({ stdio }: SandboxSpec): StepStdio {
  const [input, stdout, stderr] = [openPipe(), openPipe(), openPipe()];
  const isRead = stdio.kind === 'inherit' && stdio.stdin;
  const theirs = [input.readEnd, stdout.writeEnd, stderr.writeEnd] as const;
  const ours = [input.writeEnd, stdout.readEnd, stderr.readEnd];
  return {
    fds: theirs,
    async copy() {
      closeAll(theirs);
      if (!isRead) closeSync(input.writeEnd);
      const stopInput = isRead
        ? copyInput(new Socket({ fd: input.writeEnd, readable: false }))
        : () => undefined;
      try {
        await Promise.all([
          copyOutput('stdout', stdout.readEnd, stdio),
          copyOutput('stderr', stderr.readEnd, stdio),
        ]);
      } finally {
        stopInput();
      }
    },
    discard: () => closeAll([...theirs, ...ours]),
  };
}

/**
 * A pseudo-terminal, which this process connects with its own terminal, in raw mode meanwhile, or with whatever its stdin and
 * stdout are.
 * @param devpts - where the terminal file system to take it from is mounted.
 */
export function terminalStdio({ stdio }: SandboxSpec, devpts: string): StepStdio {
  const { master, slave } = openTerminal(devpts);
  const isRead = stdio.kind === 'inherit' && stdio.stdin;
  return {
    fds: [slave, slave, slave],
    async copy() {
      closeSync(slave);
      const terminal = new ReadStream(master);
      const stopResizing = followSize(master);
      const stopInput = isRead ? copyTyping(terminal) : () => undefined;
      try {
        await untilClosed(terminal, stdio);
      } finally {
        stopInput();
        stopResizing();
      }
    },
    discard: () => closeAll([master, slave]),
  };
}

function copyOutput(name: 'stdout' | 'stderr', fd: number, stdio: SandboxSpec['stdio']): Promise<void> {
  const socket = new Socket({ fd, readable: true, writable: false });
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('close', () => resolve());
    if (stdio.kind === 'pipe') socket.on('data', (chunk: Buffer) => stdio.onOutput(name, chunk));
    else socket.pipe(process[name], { end: false });
  });
}

function untilClosed(terminal: ReadStream, stdio: SandboxSpec['stdio']): Promise<void> {
  return new Promise((resolve, reject) => {
    terminal.on('error', (error: NodeJS.ErrnoException) => {
      // What reading gives when no program has the terminal open any more.
      if (error.code === 'EIO') resolve();
      else reject(error);
    });
    terminal.once('close', () => resolve());
    if (stdio.kind === 'pipe') terminal.on('data', (chunk: Buffer) => stdio.onOutput('stdout', chunk));
    else terminal.pipe(process.stdout, { end: false });
  });
}

/** @returns how to stop, which leaves what was not read to others. */
function copyInput(socket: Socket): () => void {
  // The command may end, or close its input, before it has read all.
  socket.on('error', () => undefined);
  process.stdin.pipe(socket);
  return () => {
    process.stdin.unpipe(socket);
    process.stdin.pause();
    process.stdin.unref?.();
    socket.destroy();
  };
}

function copyTyping(terminal: ReadStream): () => void {
  const { stdin } = process;
  const restore = stdin.isTTY ? enterRawMode(0) : () => undefined;
  const type = (chunk: Buffer): void => void terminal.write(chunk);
  const end = (): void => void terminal.write('\x04');
  stdin.on('data', type).once('end', end);
  return () => {
    stdin.off('data', type).off('end', end);
    stdin.pause();
    stdin.unref?.();
    restore();
  };
}

function followSize(master: number): () => void {
  const { stdout } = process;
  const resize = (): void => setWindowSize(master, { rows: stdout.rows, columns: stdout.columns });
  if (!stdout.isTTY) return () => undefined;
  resize();
  stdout.on('resize', resize);
  return () => stdout.off('resize', resize);
}

function closeAll(fds: readonly number[]): void {
  for (const fd of new Set(fds)) closeSync(fd);
}
