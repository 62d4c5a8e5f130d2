import { readFileSync, statSync } from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import type { SecretSource } from '../contracts.ts';

/** The largest secret, as in BuildKit. */
const maxSecretBytes = 500 << 10;

/** The secrets that a build was given. Their contents go to commands only: never to disk, keys, records or messages. */
export class SecretSources {
  readonly #sources: ReadonlyMap<string, SecretSource>;
  /** What was read: a pipe, such as the shell's <(command), can be read only once. */
  readonly #contents = new Map<string, Uint8Array>();

  /** @throws {CairnError} SECRET_INVALID for a file that is not there or too large, before anything is built */
  constructor(sources: Readonly<Record<string, SecretSource>> = {}) {
    this.#sources = new Map(Object.entries(sources));
    for (const [id, source] of this.#sources) checkSecret(id, source);
  }

  /** The content, read at the first call; null for an id that was not given. @throws {CairnError} SECRET_INVALID */
  read(id: string): Uint8Array | null {
    const source = this.#sources.get(id);
    if (source === undefined) return null;
    if (source.kind === 'bytes') return source.bytes;
    const known = this.#contents.get(id);
    if (known !== undefined) return known;
    try {
      const bytes = readFileSync(source.path);
      checkSize(id, bytes.length);
      this.#contents.set(id, bytes);
      return bytes;
    } catch (error) {
      throw unreadable(id, source.path, error);
    }
  }
}

/** Only what can be told without reading: the file of a pipe has no size. */
function checkSecret(id: string, source: SecretSource): void {
  if (source.kind === 'bytes') {
    checkSize(id, source.bytes.length);
    return;
  }
  try {
    const stat = statSync(source.path);
    if (stat.isDirectory()) throw Object.assign(new Error('it is a directory'), { code: 'EISDIR' });
    if (stat.isFile()) checkSize(id, stat.size);
  } catch (error) {
    throw unreadable(id, source.path, error);
  }
}

function checkSize(id: string, sizeBytes: number): void {
  if (sizeBytes <= maxSecretBytes) return;
  throw new CairnError('SECRET_INVALID', {
    message: `the secret "${id}" has ${sizeBytes} bytes; at most ${maxSecretBytes} are possible`,
    help: 'bring larger data in with a bind mount or a cache mount',
  });
}

function unreadable(id: string, path: string, error: unknown): unknown {
  if (error instanceof CairnError) return error;
  return new CairnError('SECRET_INVALID', {
    message: `cannot read the secret "${id}" from "${path}": ${(error as NodeJS.ErrnoException).code ?? 'error'}`,
    help: 'check the path given as src= of --secret',
    cause: error,
  });
}
