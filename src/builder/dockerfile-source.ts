import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import type { ContextSource, DockerfileSource } from './contracts.ts';

/** The text of a Dockerfile and what it is called in messages. */
export interface DockerfileText {
  readonly text: Uint8Array | string;
  readonly name: string;
  /** Absolute or relative path on the host, when it is a file there. */
  readonly path?: string;
}

/**
 * Finds and reads the Dockerfile: the given one, else `Dockerfile`, else `dockerfile` in the context (row X28).
 * @throws {CairnError} DOCKERFILE_NOT_FOUND
 */
export function readDockerfile(source: DockerfileSource | undefined, context: ContextSource): DockerfileText {
  if (source?.kind === 'text') return { text: source.text, name: source.name };
  if (source !== undefined) {
    const text = readIfExists(source.path);
    if (text !== null) return { text, name: source.path, path: source.path };
    throw notFound(
      source.path,
      'check the path given with -f; it is relative to the current directory, not to the context',
    );
  }
  if (context.kind !== 'dir')
    throw notFound(
      'Dockerfile',
      'there is no build context to look in; give the file with -f or on standard input',
    );
  for (const name of ['Dockerfile', 'dockerfile']) {
    const path = join(context.path, name);
    const text = readIfExists(path);
    if (text !== null) return { text, name, path };
  }
  throw notFound(join(context.path, 'Dockerfile'), 'create one there, or name another file with -f');
}

function readIfExists(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    const reason = code === 'EISDIR' ? 'it is a directory' : (code ?? 'unreadable');
    throw new CairnError('DOCKERFILE_NOT_FOUND', {
      message: `cannot read "${path}": ${reason}`,
      cause: error,
    });
  }
}

function notFound(path: string, help: string): CairnError {
  return new CairnError('DOCKERFILE_NOT_FOUND', { message: `no Dockerfile: "${path}" does not exist`, help });
}
