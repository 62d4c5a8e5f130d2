import { toBytes } from '../../sys/index.ts';
import { encodeHeader, endMarkerSize, paddingAfter } from '../layer/tar-writer.ts';

/** Something in an archive: a folder, or a file of known size whose bytes are opened when its turn comes. */
export interface ArchiveEntry {
  /** Relative path; a folder's ends in a slash. */
  readonly name: string;
  readonly size: number;
  readonly open: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** A file of given text. */
export function textEntry(name: string, text: string): ArchiveEntry {
  const bytes = Buffer.from(text);
  return { name, size: bytes.length, open: () => [bytes] };
}

/** A folder. */
export function folderEntry(name: string): ArchiveEntry {
  return { name: `${name}/`, size: 0, open: () => [] };
}

/** The tar of entries in their order, in constant memory; times, owners and modes are constants. */
export async function* writeArchive(entries: Iterable<ArchiveEntry>): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const isFolder = entry.name.endsWith('/');
    yield encodeHeader({
      name: toBytes(entry.name),
      flag: isFolder ? '5' : '0',
      mode: isFolder ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
      size: entry.size,
    });
    let written = 0;
    for await (const chunk of entry.open()) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== entry.size) throw new Error(`${entry.name} has ${written} bytes, not ${entry.size}`);
    const padding = paddingAfter(entry.size);
    if (padding > 0) yield Buffer.alloc(padding);
  }
  yield Buffer.alloc(endMarkerSize);
}
