import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '../../errors/index.ts';
import type { ContentSource } from '../../store/contracts.ts';
import { compressionOf, decompress, magicBytes } from '../../store/index.ts';
import { fsPath } from '../../sys/index.ts';
import { type ArchiveMember, MemberCollector } from './archive-reader.ts';
import { readContent } from './read-content.ts';

/** A tar whose members are known and whose bytes lie uncompressed in a file. Nothing of it is unpacked. */
export interface Archive {
  /** In the archive's order; one name may come several times. */
  readonly members: readonly ArchiveMember[];
  /** Where a file's bytes are. */
  content(member: ArchiveMember): ContentSource;
}

export interface ReadArchiveOptions {
  /** Makes a fresh private folder, for the bytes of a compressed archive. */
  readonly scratch: () => string;
}

/**
 * Reads a tar, compressed with gzip, bzip2, xz, zstd or not at all; its name does not matter (row C31). It is read only as far
 * as is needed to see that it is none.
 * @returns null for anything else, also for an empty file and a tar without entries
 * @throws {CairnError} ARCHIVE_INVALID for a tar that is damaged behind its first entry, PROGRAM_NOT_FOUND
 */
export async function readArchive(
  source: ContentSource,
  sizeBytes: number,
  options: ReadArchiveOptions,
): Promise<Archive | null> {
  if (sizeBytes === 0) return null;
  const isPlain = (await compressionAt(source, sizeBytes)) === 'none';
  const collector = new MemberCollector();
  const isReadInPlace = isPlain && sliceOf(source, 0) !== null;
  const spool = isReadInPlace ? null : new Spool(options.scratch);
  try {
    for await (const chunk of decompress(readContent(source, sizeBytes))) {
      collector.write(chunk);
      // What is no tar is known by its first block: nothing was spooled then.
      spool?.write(chunk);
    }
    collector.finish();
  } catch (error) {
    if (collector.hasBegun || !hasCode(error, 'ARCHIVE_INVALID')) throw error;
    return null;
  } finally {
    spool?.close();
  }
  if (collector.members.length === 0) return null;
  const tar: ContentSource =
    spool?.path === undefined ? source : { kind: 'slice', path: spool.path, offset: 0 };
  return { members: collector.members, content: (member) => contentIn(tar, member) };
}

async function compressionAt(source: ContentSource, sizeBytes: number) {
  for await (const head of readContent(source, Math.min(sizeBytes, magicBytes))) return compressionOf(head);
  return 'none';
}

function contentIn(tar: ContentSource, { offset, size }: ArchiveMember): ContentSource {
  if (tar.kind === 'bytes') return { kind: 'bytes', bytes: tar.bytes.subarray(offset, offset + size) };
  const slice = sliceOf(tar, offset);
  if (slice === null) throw new Error('an archive without a readable place');
  return slice;
}

/** A place in a file, as slices name it: by text, which not every file name is. */
function sliceOf(source: ContentSource, offset: number): ContentSource | null {
  if (source.kind === 'slice') return { kind: 'slice', path: source.path, offset: source.offset + offset };
  if (source.kind === 'bytes') return source;
  const path = fsPath(source.path);
  return typeof path === 'string' ? { kind: 'slice', path, offset } : null;
}

/** A file that is made with its first byte. */
class Spool {
  readonly #scratch: () => string;
  #fd: number | null = null;
  path: string | undefined;

  constructor(scratch: () => string) {
    this.#scratch = scratch;
  }

  write(chunk: Uint8Array): void {
    if (this.#fd === null) {
      this.path = join(this.#scratch(), 'archive.tar');
      this.#fd = openSync(this.path, 'wx', 0o600);
    }
    for (let done = 0; done < chunk.length; ) done += writeSync(this.#fd, chunk, done);
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
