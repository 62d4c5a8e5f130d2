import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline, Readable } from 'node:stream';
import { CairnError } from '../../errors/index.ts';
import { isSystemError } from '../store-error.ts';

const maxMessageBytes = 2000;

/**
 * The output of a program that is fed with `source`. Killed when the reader stops or the source fails.
 * @param what - the kind of data, for messages
 * @throws {CairnError} ARCHIVE_INVALID when it fails, PROGRAM_NOT_FOUND; what the source throws passes
 */
export async function* filterThrough(
  source: AsyncIterable<Uint8Array>,
  command: readonly string[],
  what: string,
): AsyncGenerator<Uint8Array> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const exited = exitOf(child);
  await once(child, 'spawn').catch((error: unknown) => {
    throw cannotStart(program, what, error);
  });
  let sourceError: unknown;
  async function* guarded() {
    try {
      yield* source;
    } catch (error) {
      sourceError = error;
      throw error;
    }
  }
  // A program that found an error stops reading: EPIPE here, and its own words tell more.
  const fed = new Promise<void>((resolve) =>
    pipeline(Readable.from(guarded()), child.stdin, () => resolve()),
  );
  let message = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (message.length < maxMessageBytes) message += chunk.toString();
  });
  try {
    for await (const chunk of child.stdout) yield chunk as Uint8Array;
    const exit = await exited;
    await fed;
    if (sourceError !== undefined) throw sourceError;
    if (exit instanceof Error) throw exit;
    if (exit !== 0)
      throw new CairnError('ARCHIVE_INVALID', {
        message: `the ${what} data is damaged or cut off: ${message.trim() || `${program} ended with ${exit}`}`,
        help: 'copy or download the archive again',
      });
  } finally {
    child.kill('SIGKILL');
  }
}

/** True when no program of that name can be started. */
export async function isMissingProgram(program: string): Promise<boolean> {
  const child = spawn(program, ['--version'], { stdio: 'ignore' });
  return (await exitOf(child)) instanceof Error;
}

/** Exit code, signal name, or the error when it could not be started. */
async function exitOf(child: ReturnType<typeof spawn>): Promise<number | string | Error> {
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return code ?? signal ?? -1;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function cannotStart(program: string, what: string, cause: unknown): unknown {
  if (!isSystemError(cause, 'ENOENT')) return cause;
  return new CairnError('PROGRAM_NOT_FOUND', {
    message: `reading ${what} needs the program "${program}", which is not installed`,
    help: `install it, or decompress the archive first`,
    cause,
  });
}
