import { createHash, type Hash, hash } from 'node:crypto';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { type DiffId, type Digest, fromHex } from '../../oci/index.ts';
import { type ByteString, fsPath, toText } from '../../sys/index.ts';
import type { ContentSource, LayerEntry, Toc, TocEntry } from '../contracts.ts';
import { baseOf, comparePaths, joinPath, parentOf } from './path-order.ts';
import { encodeHeader, endMarkerSize, paddingAfter, type TarHeader } from './tar-writer.ts';
import { isReservedName, whiteoutPrefix } from './whiteout.ts';
import { canonicalXattrs } from './xattr-policy.ts';

/** Takes the tar's bytes in order; a chunk is valid during the call only. */
export interface PackSink {
  write(chunk: Uint8Array): void;
}

/** A table of contents whose tar has no name yet. */
export type UnnamedToc = Omit<Toc, 'diffId'>;

const bufferSize = 1024 * 1024;

/**
 * Writes entries as a canonical layer (docs/layer-format.md) and returns its table of contents. Synchronous: to keep
 * an event loop free, use `LayerPacker` in slices or a worker thread.
 * @param entries - sorted as `comparePaths` does, no path twice.
 * @throws {CairnError} CONTENT_CHANGED, CONTENT_UNREADABLE, LAYER_NAME_RESERVED
 */
export function packLayer(entries: Iterable<LayerEntry>, sink: PackSink): Toc {
  const tar = createHash('sha256');
  const packer = new LayerPacker({
    write: (chunk) => {
      tar.update(chunk);
      sink.write(chunk);
    },
  });
  try {
    for (const entry of entries) packer.add(entry);
    packer.finish();
    return { diffId: fromHex(tar.digest('hex')) as DiffId, ...packer.toc };
  } finally {
    packer.close();
  }
}

/**
 * Packs one entry at a time. Reads each content once, in chunks of at most 1 MiB, and gathers headers and small files
 * into writes of that size. The sink computes the tar's digest. `close` must be called, whatever happened.
 */
export class LayerPacker {
  readonly #sink: PackSink;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize);
  #fill = 0;
  #position = 0;
  #contentSize = 0;
  #last: ByteString | undefined;
  #finished = false;
  readonly #entries: TocEntry[] = [];
  /** Entries that a hard link may name. */
  readonly #inodes = new Map<ByteString, TocEntry>();
  #slice: { readonly path: string; readonly fd: number } | undefined;

  constructor(sink: PackSink) {
    this.#sink = sink;
  }

  /** Appends an entry. @throws {CairnError} CONTENT_CHANGED, CONTENT_UNREADABLE, LAYER_NAME_RESERVED */
  add(entry: LayerEntry): void {
    for (const _ of this.addInSlices(entry));
  }

  /** As `add`, and yields after every MiB or so of a large file, so that the caller can let others run in between. */
  *addInSlices(entry: LayerEntry): Generator<void, void> {
    this.#checkOrder(entry.path);
    if (entry.type !== 'whiteout' && isReservedName(baseOf(entry.path))) throw reservedName(entry.path);
    switch (entry.type) {
      case 'file':
        yield* this.#addFile(entry);
        break;
      case 'hardlink':
        this.#addHardlink(entry.path, entry.target);
        break;
      case 'whiteout':
        this.#addWhiteout(entry.path);
        break;
      case 'dir':
        this.#header(`${entry.path === '' ? '.' : entry.path}/` as ByteString, this.#record(entry));
        break;
      default:
        this.#header(entry.path, this.#record(entry));
    }
  }

  /** Writes the end marker and everything that is still buffered. */
  finish(): void {
    this.#zeros(endMarkerSize);
    this.#flush();
    this.#finished = true;
  }

  /** Frees what reading needed. */
  close(): void {
    if (this.#slice !== undefined) closeSync(this.#slice.fd);
    this.#slice = undefined;
  }

  /** The table of contents, after `finish`. */
  get toc(): UnnamedToc {
    if (!this.#finished) throw new Error('the layer is not finished');
    return { tarSize: this.#position, contentSize: this.#contentSize, entries: this.#entries };
  }

  #checkOrder(path: ByteString): void {
    // Text that was never turned into bytes would silently lose the upper half of each character.
    if (/[^\x01-\xff]/.test(path)) throw new Error(`layer entry "${path}" is not a path in bytes`);
    if (this.#last !== undefined && comparePaths(this.#last, path) >= 0) {
      throw new Error(`layer entries are out of order: "${toText(path)}" after "${toText(this.#last)}"`);
    }
    this.#last = path;
  }

  *#addFile(entry: LayerEntry & { readonly type: 'file' }): Generator<void, void> {
    const index = this.#entries.length;
    const toc = this.#record(entry);
    this.#header(entry.path, toc);
    const offset = this.#position;
    const digest = yield* this.#content(entry);
    if (entry.digest !== undefined && entry.digest !== digest) {
      const notes = [{ message: `wanted ${entry.digest}` }, { message: `found ${digest}` }];
      throw changed(entry, 'its content is not the one seen before', notes);
    }
    this.#zeros(paddingAfter(entry.size));
    this.#contentSize += entry.size;
    const complete = { ...toc, digest, offset };
    this.#entries[index] = complete;
    this.#inodes.set(entry.path, complete);
  }

  #addHardlink(path: ByteString, target: ByteString): void {
    const inode = this.#inodes.get(target);
    if (inode === undefined)
      throw new Error(`hard link "${toText(path)}" names nothing earlier in its layer`);
    // Peers apply a link entry's attributes to the inode (Docker and containerd chown and chmod it): repeat them.
    const { mode, uid, gid, mtime, xattrs } = inode;
    const toc: TocEntry = {
      path,
      type: 'hardlink',
      mode,
      uid,
      gid,
      mtime,
      size: 0,
      link: target,
      ...(xattrs === undefined ? {} : { xattrs }),
    };
    this.#entries.push(toc);
    this.#header(path, toc);
  }

  #addWhiteout(path: ByteString): void {
    const toc: TocEntry = { path, type: 'whiteout', mode: 0, uid: 0, gid: 0, mtime: 0, size: 0 };
    this.#entries.push(toc);
    const marker = `${whiteoutPrefix}${baseOf(path)}` as ByteString;
    this.#header(joinPath(parentOf(path), marker), toc);
  }

  /** Adds an entry to the table in the form in which a reader of the tar will see it. */
  #record(entry: Exclude<LayerEntry, { readonly type: 'hardlink' | 'whiteout' }>): TocEntry {
    const xattrs = canonicalXattrs(Object.entries(entry.xattrs ?? {}));
    const toc: TocEntry = {
      path: entry.path,
      type: entry.type,
      // Linux has no mode for symbolic links.
      mode: entry.type === 'symlink' ? 0o777 : entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      mtime: entry.mtime,
      size: entry.type === 'file' ? entry.size : 0,
      ...(entry.type === 'symlink' ? { link: entry.link } : {}),
      ...(entry.type === 'char' || entry.type === 'block' ? { rdev: entry.rdev } : {}),
      ...(xattrs === undefined ? {} : { xattrs }),
    };
    assertAttributes(toc);
    this.#entries.push(toc);
    if (entry.type !== 'dir' && entry.type !== 'file') this.#inodes.set(entry.path, toc);
    return toc;
  }

  #header(name: ByteString, entry: TocEntry): void {
    const header: TarHeader = { ...entry, name, flag: flags[entry.type] };
    this.#append(encodeHeader(header));
  }

  *#content(entry: LayerEntry & { readonly type: 'file' }): Generator<void, Digest> {
    if (entry.source.kind === 'bytes') return this.#bytes(entry, entry.source.bytes);
    let fd: number;
    try {
      fd = this.#open(entry.source);
    } catch (error) {
      throw unreadable(entry, error);
    }
    try {
      return yield* this.#read(entry, fd, entry.source.kind === 'slice' ? entry.source.offset : null);
    } finally {
      if (entry.source.kind === 'path') closeSync(fd);
    }
  }

  #bytes(entry: LayerEntry & { readonly type: 'file' }, bytes: Uint8Array): Digest {
    if (bytes.length !== entry.size) throw changed(entry, `it has ${bytes.length} bytes, not ${entry.size}`);
    this.#append(bytes);
    return fromHex(hash('sha256', bytes));
  }

  #open(source: Exclude<ContentSource, { readonly kind: 'bytes' }>): number {
    // Not blocking: a pipe that took the file's place must fail, not wait for a writer.
    const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    if (source.kind === 'path') return openSync(fsPath(source.path), openFlags);
    if (this.#slice?.path === source.path) return this.#slice.fd;
    this.close();
    this.#slice = { path: source.path, fd: openSync(source.path, constants.O_RDONLY) };
    return this.#slice.fd;
  }

  /** @param start - where a slice starts; null for a whole file, which must end where it should. */
  *#read(
    entry: LayerEntry & { readonly type: 'file' },
    fd: number,
    start: number | null,
  ): Generator<void, Digest> {
    let remaining = entry.size;
    let position = start;
    let streamed: Hash | undefined;
    for (;;) {
      if (
        this.#fill === bufferSize ||
        (this.#fill > 0 && bufferSize - this.#fill <= Math.min(remaining, smallFile))
      ) {
        this.#flush();
      }
      const room = bufferSize - this.#fill;
      // One byte more than a whole file should have: an end of file in the same call spares an fstat.
      const wanted = Math.min(room, start === null ? remaining + 1 : remaining);
      const got = wanted === 0 ? 0 : readInto(entry, fd, this.#buffer, this.#fill, wanted, position);
      if (got > remaining) throw changed(entry, `it is longer than the ${entry.size} bytes it had`);
      if (got === 0 && remaining > 0) {
        throw changed(entry, `it ends after ${entry.size - remaining} of ${entry.size} bytes`);
      }
      const chunk = this.#buffer.subarray(this.#fill, this.#fill + got);
      this.#fill += got;
      this.#position += got;
      remaining -= got;
      if (position !== null) position += got;
      const atEnd = remaining === 0 && (start !== null || got < wanted);
      if (atEnd && streamed === undefined) return fromHex(hash('sha256', chunk));
      streamed ??= createHash('sha256');
      streamed.update(chunk);
      if (atEnd) return fromHex(streamed.digest('hex'));
      yield;
    }
  }

  #append(bytes: Uint8Array): void {
    this.#position += bytes.length;
    if (bytes.length > bufferSize - this.#fill) this.#flush();
    if (bytes.length > bufferSize) {
      this.#sink.write(bytes);
      return;
    }
    this.#buffer.set(bytes, this.#fill);
    this.#fill += bytes.length;
  }

  #zeros(count: number): void {
    if (count > bufferSize - this.#fill) this.#flush();
    this.#buffer.fill(0, this.#fill, this.#fill + count);
    this.#fill += count;
    this.#position += count;
  }

  #flush(): void {
    if (this.#fill > 0) this.#sink.write(this.#buffer.subarray(0, this.#fill));
    this.#fill = 0;
  }
}

// Below this size it pays to move on to an empty buffer and read the file in one call.
const smallFile = 128 * 1024;

const flags: Readonly<Record<TocEntry['type'], TarHeader['flag']>> = {
  file: '0',
  whiteout: '0',
  opaque: '0',
  hardlink: '1',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
};

function readInto(
  entry: LayerEntry,
  fd: number,
  buffer: Buffer,
  at: number,
  length: number,
  position: number | null,
): number {
  try {
    return readSync(fd, buffer, at, length, position);
  } catch (error) {
    throw unreadable(entry, error);
  }
}

function assertAttributes(entry: TocEntry): void {
  const inRange = (value: number, low: number, high: number): boolean =>
    Number.isSafeInteger(value) && value >= low && value <= high;
  const valid =
    inRange(entry.mode, 0, 0o7777) &&
    inRange(entry.uid, 0, 0xfffffffe) &&
    inRange(entry.gid, 0, 0xfffffffe) &&
    inRange(entry.mtime, -1e12, 1e12) &&
    inRange(entry.size, 0, Number.MAX_SAFE_INTEGER) &&
    !/[^\x01-\xff]/.test(entry.link ?? '');
  if (!valid)
    throw new Error(
      `layer entry "${toText(entry.path)}" has attributes out of range: ${JSON.stringify(entry)}`,
    );
}

function placeOf(entry: LayerEntry): string {
  const isPath = entry.type === 'file' && entry.source.kind === 'path';
  return toText(isPath ? (entry.source as { readonly path: ByteString }).path : entry.path);
}

function changed(
  entry: LayerEntry,
  reason: string,
  notes: readonly { readonly message: string }[] = [],
): CairnError {
  return new CairnError('CONTENT_CHANGED', {
    message: `"${placeOf(entry)}" changed while it was read: ${reason}`,
    notes,
    help: 'run the build again when nothing writes to the file',
  });
}

function unreadable(entry: LayerEntry, cause: unknown): CairnError {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return changed(entry, 'it is gone');
  if ((cause as NodeJS.ErrnoException).code === 'ELOOP') return changed(entry, 'it is a symbolic link now');
  return new CairnError('CONTENT_UNREADABLE', {
    message: `"${placeOf(entry)}" cannot be read: ${(cause as Error).message}`,
    cause,
  });
}

function reservedName(path: ByteString): CairnError {
  return new CairnError('LAYER_NAME_RESERVED', {
    message: `"/${toText(path)}" cannot be stored in an image layer: names that start with ".wh." mark deleted files`,
    help: 'give the file another name, or leave it out with .dockerignore',
  });
}
