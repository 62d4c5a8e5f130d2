import * as fs from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { type ByteString, toBytes, toText } from '../../sys/index.ts';
import type { FileBlobStore } from '../blob-store.ts';
import { cleanPath, joinPath, parentOf } from '../layer/path-order.ts';
import { type TarMember, TarReader } from '../layer/tar-reader.ts';
import type { Spool, SpooledFile } from '../spool.ts';
import type { TocFiles } from '../toc-file.ts';
import { LayerProbe, type StagedToc } from './layer-probe.ts';

/** A file of an archive. */
export interface ArchivedFile extends SpooledFile {
  readonly name: ByteString;
  /** For an uncompressed tar: its table of contents, or what is wrong with it. Absent when it does not look like one. */
  readonly layer?: StagedToc | CairnError;
}

const maxFiles = 100_000;
const maxLinks = 40;

export interface SpoolArchiveOptions {
  readonly blobs: FileBlobStore;
  readonly tocs: TocFiles;
  readonly signal?: AbortSignal;
  /** Called with the number of bytes read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * An archive's files, each under a number in the session's tmp folder: names inside archives are hostile, so they are
 * only keys here. Entries may come in any order; of two with one name the last counts, as when a tar is extracted.
 */
export class SpooledArchive {
  readonly #files = new Map<ByteString, ArchivedFile>();
  readonly #links = new Map<ByteString, ByteString>();

  /** @throws {CairnError} ARCHIVE_INVALID, STORE_FULL, ABORTED; what the source throws passes */
  static async read(tar: AsyncIterable<Uint8Array>, options: SpoolArchiveOptions): Promise<SpooledArchive> {
    const archive = new SpooledArchive();
    const reading = new ArchiveReading(archive, options);
    const reader = new TarReader(reading);
    let bytes = 0;
    try {
      for await (const chunk of tar) {
        if (options.signal?.aborted) throw aborted(options.signal);
        reader.write(chunk);
        bytes += chunk.length;
        options.onProgress?.(bytes);
      }
      if (bytes === 0) throw new CairnError('ARCHIVE_INVALID', { message: 'the input is empty' });
      reader.end();
      return archive;
    } catch (error) {
      reading.abandon();
      archive.discard();
      throw error;
    }
  }

  add(file: ArchivedFile): void {
    this.#forget(file.name);
    if (this.#files.size >= maxFiles) throw tooMany();
    this.#files.set(file.name, file);
  }

  /** @param target - a path inside the archive */
  addLink(name: ByteString, target: ByteString): void {
    this.#forget(name);
    if (this.#links.size >= maxFiles) throw tooMany();
    this.#links.set(name, target);
  }

  /** The file of that name, through symbolic and hard links inside the archive, or null. */
  find(name: string): ArchivedFile | null {
    let path = cleanPath(toBytes(name));
    for (let count = 0; count < maxLinks; count++) {
      const file = this.#files.get(path);
      if (file !== undefined) return file;
      const target = this.#links.get(path);
      if (target === undefined) return null;
      path = target;
    }
    throw new CairnError('ARCHIVE_INVALID', {
      message: `"${name}" in the archive is a link that leads nowhere`,
    });
  }

  /** As `find`. @throws {CairnError} ARCHIVE_INVALID when there is none */
  get(name: string): ArchivedFile {
    const file = this.find(name);
    if (file !== null) return file;
    throw new CairnError('ARCHIVE_INVALID', { message: `the archive lacks "${name}", which it refers to` });
  }

  /** A document. @throws {CairnError} ARCHIVE_INVALID over `maxBytes` */
  read(file: ArchivedFile, maxBytes = 32 << 20): Buffer {
    if (file.size <= maxBytes) return fs.readFileSync(file.path);
    throw new CairnError('ARCHIVE_INVALID', {
      message: `"${toText(file.name)}" in the archive has ${file.size} bytes, too many for such a document`,
    });
  }

  /** Removes what was not published. */
  discard(): void {
    for (const name of [...this.#files.keys()]) this.#forget(name);
  }

  #forget(name: ByteString): void {
    const file = this.#files.get(name);
    if (file !== undefined) {
      fs.rmSync(file.path, { force: true });
      if (file.layer !== undefined && 'path' in file.layer) fs.rmSync(file.layer.path, { force: true });
    }
    this.#files.delete(name);
    this.#links.delete(name);
  }
}

/** Takes the tar's members into the archive. */
class ArchiveReading {
  readonly #archive: SpooledArchive;
  readonly #options: SpoolArchiveOptions;
  #current: { readonly name: ByteString; readonly spool: Spool; readonly probe: LayerProbe } | null = null;

  constructor(archive: SpooledArchive, options: SpoolArchiveOptions) {
    this.#archive = archive;
    this.#options = options;
  }

  member({ path, type, link }: TarMember): void {
    if (type === 'file') {
      const { blobs, tocs } = this.#options;
      this.#current = { name: path, spool: blobs.spool({ isHashed: false }), probe: new LayerProbe(tocs) };
    } else if (type === 'hardlink' && link !== undefined) {
      this.#archive.addLink(path, link);
    } else if (type === 'symlink' && link !== undefined) {
      // Old `docker save` writes a layer that it wrote before as a link to `../<id>/layer.tar`.
      this.#archive.addLink(path, cleanPath(link.startsWith('/') ? link : joinPath(parentOf(path), link)));
    }
  }

  content(chunk: Uint8Array): void {
    this.#current?.spool.write(chunk);
    this.#current?.probe.write(chunk);
  }

  end(): void {
    const current = this.#current;
    this.#current = null;
    if (current === null) return;
    const { digest, layer } = current.probe.finish(current.spool.path);
    const file = current.spool.finish(digest);
    this.#archive.add({ name: current.name, ...file, ...(layer === null ? {} : { layer }) });
  }

  abandon(): void {
    this.#current?.spool.discard();
    this.#current = null;
  }
}

/** The error for an operation that its signal ended. */
export function aborted(signal: AbortSignal): CairnError {
  return new CairnError('ABORTED', { message: 'reading the archive was cancelled', cause: signal.reason });
}

function tooMany(): CairnError {
  return new CairnError('ARCHIVE_INVALID', {
    message: `the archive has more than ${maxFiles} files: not an image archive`,
  });
}
