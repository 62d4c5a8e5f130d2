import { createHash, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type Digest, digestOf, fromHex } from '../oci/index.ts';
import { syncFolder } from '../sys/index.ts';
import type { BlobStore, BlobWriter } from './contracts.ts';
import { fileSize, writeFully } from './durable-file.ts';
import { explainStoreError, isSystemError, withStoreErrors } from './store-error.ts';
import { blobPath, type StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

const readChunkBytes = 1 << 20;
const maxDocumentBytes = 32 << 20;

// Read-only for everyone: a blob never changes once it has its name, and whoever may enter ROOT (0700, the one
// gate) may read. Root ignores the mode, so readers verify all the same.
const blobMode = 0o444;

/** The image layout's blobs/sha256. Promises: see `BlobStore`. */
export class FileBlobStore implements BlobStore {
  readonly #paths: StorePaths;
  readonly #session: WorkSession;

  constructor(paths: StorePaths, session: WorkSession) {
    this.#paths = paths;
    this.#session = session;
  }

  has(digest: Digest): boolean {
    return fileSize(this.path(digest)) !== null;
  }

  size(digest: Digest): number {
    return fileSize(this.path(digest)) ?? raise(blobNotFound(digest));
  }

  path(digest: Digest): string {
    return blobPath(this.#paths, digest);
  }

  readText(digest: Digest, maxBytes = maxDocumentBytes): string {
    const bytes = this.readSmall(digest, maxBytes);
    return bytes.toString('utf8');
  }

  /** As `readText`, as bytes. */
  readSmall(digest: Digest, maxBytes = maxDocumentBytes): Buffer {
    const size = this.size(digest);
    if (size > maxBytes)
      throw new CairnError('DOCUMENT_INVALID', {
        message: `blob ${digest} has ${size} bytes, more than the ${maxBytes} that such a document may have`,
      });
    const bytes = fs.readFileSync(this.path(digest));
    verify(digest, digestOf(bytes), bytes.length);
    return bytes;
  }

  async *read(digest: Digest): AsyncIterable<Uint8Array> {
    const file = await fs.promises.open(this.path(digest)).catch((error: unknown) => {
      throw isSystemError(error, 'ENOENT')
        ? blobNotFound(digest)
        : explainStoreError(this.#paths.root, error);
    });
    try {
      const hash = createHash('sha256');
      let size = 0;
      for (;;) {
        const chunk = Buffer.allocUnsafe(readChunkBytes);
        const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
        if (bytesRead === 0) break;
        size += bytesRead;
        hash.update(chunk.subarray(0, bytesRead));
        yield chunk.subarray(0, bytesRead);
      }
      verify(digest, fromHex(hash.digest('hex')), size);
    } finally {
      await file.close();
    }
  }

  put(bytes: Uint8Array | string): Digest {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const digest = digestOf(data);
    if (this.#reuse(digest, data.length)) return digest;
    const writer = this.create();
    try {
      writer.write(data);
      return writer.commit(digest).digest;
    } finally {
      writer.abort();
    }
  }

  create(): BlobWriter {
    return withStoreErrors(this.#paths.root, () => new FileBlobWriter(this.#paths, this.#session));
  }

  /** A blob of the right size counts as there; one that a damaged disk cut short is written again. */
  #reuse(digest: Digest, size: number): boolean {
    return fileSize(this.path(digest)) === size && this.#session.lease([digest]);
  }
}

class FileBlobWriter implements BlobWriter {
  readonly #paths: StorePaths;
  readonly #session: WorkSession;
  readonly #temporary: string;
  readonly #hash: Hash = createHash('sha256');
  #fd: number | null;
  #size = 0;

  constructor(paths: StorePaths, session: WorkSession) {
    this.#paths = paths;
    this.#session = session;
    this.#temporary = session.temporary();
    this.#fd = fs.openSync(this.#temporary, 'wx', 0o600);
  }

  write(chunk: Uint8Array): void {
    const fd = this.#fd;
    if (fd === null) throw new Error('write to a finished blob');
    withStoreErrors(this.#paths.root, () => writeFully(fd, chunk));
    this.#hash.update(chunk);
    this.#size += chunk.length;
  }

  commit(expected?: Digest): { readonly digest: Digest; readonly size: number } {
    const fd = this.#fd;
    if (fd === null) throw new Error('commit of a finished blob');
    try {
      const digest = fromHex(this.#hash.digest('hex'));
      if (expected !== undefined) verify(expected, digest, this.#size);
      withStoreErrors(this.#paths.root, () => this.#publish(fd, digest));
      return { digest, size: this.#size };
    } finally {
      this.abort();
    }
  }

  abort(): void {
    if (this.#fd === null) return;
    fs.closeSync(this.#fd);
    this.#fd = null;
    fs.rmSync(this.#temporary, { force: true });
  }

  #publish(fd: number, digest: Digest): void {
    const path = blobPath(this.#paths, digest);
    const present = fileSize(path) === this.#size;
    if (!present) {
      fs.fchmodSync(fd, blobMode);
      fs.fsyncSync(fd);
    }
    // The lease line comes first: from the moment the blob has its name, a sweep finds it leased.
    const renamed = this.#session.shared(() => {
      this.#session.appendLease([digest]);
      if (present && fileSize(path) === this.#size) return false;
      fs.fchmodSync(fd, blobMode);
      if (present) fs.fsyncSync(fd);
      fs.renameSync(this.#temporary, path);
      return true;
    });
    if (renamed) syncFolder(this.#paths.blobs);
  }
}

/** @throws {CairnError} DIGEST_MISMATCH */
function verify(wanted: Digest, found: Digest, size: number): void {
  if (wanted === found) return;
  throw new CairnError('DIGEST_MISMATCH', {
    message: `expected ${wanted}, found ${found} (${size} bytes)`,
    help: 'if this is a blob of the store, "cairn fsck" tells what else is damaged',
  });
}

/** The error for a blob that is not in the store. */
export function blobNotFound(digest: Digest): CairnError {
  return new CairnError('BLOB_NOT_FOUND', {
    message: `blob ${digest} is not in the store`,
    help: '"cairn fsck" lists the images that lack blobs; pull, load or build them again',
  });
}

function raise(error: Error): never {
  throw error;
}
