import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import { type Descriptor, decodeIndex } from '../../oci/index.ts';
import type { ArchiveEntry } from '../../store/index.ts';
import type { OutputTarget } from './output.ts';

/**
 * Writes chunks to where an archive goes. A file that could not be written to its end is removed.
 * @throws {CairnError} OUTPUT_UNWRITABLE; what `chunks` throws passes
 */
export async function writeTo(target: OutputTarget, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  if (target.kind === 'stream') {
    for await (const chunk of chunks) target.write(chunk);
    return;
  }
  const fd = naming(target.path, () => openSync(target.path, 'w', 0o644));
  let isComplete = false;
  try {
    for await (const chunk of chunks) naming(target.path, () => writeFully(fd, chunk));
    isComplete = true;
  } finally {
    closeSync(fd);
    if (!isComplete && statSync(target.path, { throwIfNoEntry: false })?.isFile())
      rmSync(target.path, { force: true });
  }
}

/**
 * Writes the entries of an image layout into a folder; blobs that it has are left alone.
 * @throws {CairnError} OUTPUT_UNWRITABLE
 */
export async function writeLayoutFolder(folder: string, entries: Iterable<ArchiveEntry>): Promise<void> {
  naming(folder, () => mkdirSync(folder, { recursive: true }));
  for (const { name, size, open } of entries) {
    const path = join(folder, name);
    if (name.endsWith('/')) naming(path, () => mkdirSync(path, { recursive: true }));
    else if (!name.startsWith('blobs/') || statSync(path, { throwIfNoEntry: false })?.size !== size) {
      const fd = naming(path, () => openSync(path, 'w', 0o644));
      try {
        for await (const chunk of open()) naming(path, () => writeFully(fd, chunk));
      } finally {
        closeSync(fd);
      }
    }
  }
}

/** What index.json of a layout in a folder lists; nothing for a folder without one. */
export function readLayoutIndex(folder: string): readonly Descriptor[] {
  const path = join(folder, 'index.json');
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return [];
  return decodeIndex(readFileSync(path, 'utf8'), path).manifests;
}

function writeFully(fd: number, chunk: Uint8Array): void {
  for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
}

function naming<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    throw new CairnError('OUTPUT_UNWRITABLE', {
      message: `cannot write ${path}: ${code}`,
      help: 'the folder must exist, be writable and have space',
      cause: error,
    });
  }
}
