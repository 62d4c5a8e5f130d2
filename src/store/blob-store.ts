import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type Digest, digestOf, fromHex } from '../oci/index.ts';
import { syncFolder } from '../sys/index.ts';
import type { BlobStore, BlobWriter } from './contracts.ts';
import { fileSize } from './durable-file.ts';
import { Spool, type SpooledFile } from './spool.ts';
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
    const bytes = withStoreErrors(this.#paths.root, () => fs.readFileSync(this.path(digest)));
    verifyDigest(digest, digestOf(bytes), bytes.length);
    return bytes;
  }

  async *read(digest: Digest): AsyncIterable<Uint8Array> {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of this.readFrom(digest, 0)) {
      size += chunk.length;
      hash.update(chunk);
      yield chunk;
    }
    verifyDigest(digest, fromHex(hash.digest('hex')), size);
  }

  async *readFrom(digest: Digest, offset: number): AsyncIterable<Uint8Array> {
    const file = await fs.promises.open(this.path(digest)).catch((error: unknown) => {
      throw isSystemError(error, 'ENOENT')
        ? blobNotFound(digest)
        : explainStoreError(this.#paths.root, error);
    });
    try {
      for (let position = offset; ; ) {
        const chunk = Buffer.allocUnsafe(readChunkBytes);
        const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        yield chunk.subarray(0, bytesRead);
      }
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
    return new FileBlobWriter(this, this.spool());
  }

  /** A file in the session's tmp folder that may become a blob: `publish` what its `finish` returns. */
  spool(options: { readonly isHashed?: boolean } = {}): Spool {
    return withStoreErrors(
      this.#paths.root,
      () => new Spool(this.#paths.root, this.#session.temporary(), options),
    );
  }

  /** Makes a spooled file a blob, durable and leased, unless it is one already; the file is gone from tmp then. */
  publish(file: SpooledFile): void {
    withStoreErrors(this.#paths.root, () => {
      const path = this.path(file.digest);
      const isNew = fileSize(path) !== file.size;
      if (isNew) prepareBlob(file.path);
      // The lease line comes first: from the moment the blob has its name, a sweep finds it leased.
      const isRenamed = this.#session.shared(() => {
        this.#session.appendLease([file.digest]);
        if (!isNew && fileSize(path) === file.size) return false;
        if (!isNew) prepareBlob(file.path);
        fs.renameSync(file.path, path);
        return true;
      });
      if (isRenamed) syncFolder(this.#paths.blobs);
      else fs.rmSync(file.path, { force: true });
    });
  }

  /** A blob of the right size counts as there; one that a damaged disk cut short is written again. */
  #reuse(digest: Digest, size: number): boolean {
    return fileSize(this.path(digest)) === size && this.#session.lease([digest]);
  }
}

class FileBlobWriter implements BlobWriter {
  readonly #blobs: FileBlobStore;
  readonly #spool: Spool;
  #isDone = false;

  constructor(blobs: FileBlobStore, spool: Spool) {
    this.#blobs = blobs;
    this.#spool = spool;
  }

  write(chunk: Uint8Array): void {
    this.#spool.write(chunk);
  }

  commit(expected?: Digest): { readonly digest: Digest; readonly size: number } {
    if (this.#isDone) throw new Error('commit of a finished blob');
    try {
      const file = this.#spool.finish();
      if (expected !== undefined) verifyDigest(expected, file.digest, file.size);
      this.#blobs.publish(file);
      return { digest: file.digest, size: file.size };
    } finally {
      this.abort();
    }
  }

  abort(): void {
    if (!this.#isDone) this.#spool.discard();
    this.#isDone = true;
  }
}

/** Mode and bytes of a file, on disk, before it gets its name. */
function prepareBlob(path: string): void {
  const fd = fs.openSync(path, 'r');
  try {
    fs.fchmodSync(fd, blobMode);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** @throws {CairnError} DIGEST_MISMATCH */
export function verifyDigest(wanted: Digest, found: Digest, size: number): void {
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
