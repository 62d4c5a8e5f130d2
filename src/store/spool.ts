import { createHash, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import { type Digest, fromHex } from '../oci/index.ts';
import { writeFully } from './durable-file.ts';
import { withStoreErrors } from './store-error.ts';

/** A complete temporary file and what it holds. Removed with the session's tmp folder, if not before. */
export interface SpooledFile {
  readonly path: string;
  readonly digest: Digest;
  readonly size: number;
}

/** A temporary file that is hashed while it is written. One of `finish` and `discard` must be called. */
export class Spool {
  readonly #root: string;
  readonly path: string;
  readonly #hash: Hash | null;
  #fd: number | null;
  #size = 0;

  /** @param options - `isHashed: false` when someone else hashes the same bytes and will tell `finish`. */
  constructor(root: string, path: string, options: { readonly isHashed?: boolean } = {}) {
    this.#root = root;
    this.path = path;
    this.#hash = (options.isHashed ?? true) ? createHash('sha256') : null;
    this.#fd = fs.openSync(path, 'wx', 0o600);
  }

  /** Appends. @throws {CairnError} STORE_FULL */
  write(chunk: Uint8Array): void {
    const fd = this.#fd;
    if (fd === null) throw new Error('write to a finished file');
    withStoreErrors(this.#root, () => writeFully(fd, chunk));
    this.#hash?.update(chunk);
    this.#size += chunk.length;
  }

  /** @param digest - of exactly the bytes written, for a spool that does not hash. */
  finish(digest = this.#ownDigest()): SpooledFile {
    if (this.#fd === null) throw new Error('this file was finished before');
    fs.closeSync(this.#fd);
    this.#fd = null;
    return { path: this.path, digest, size: this.#size };
  }

  /** Removes the file unless `publish` has moved it. */
  discard(): void {
    if (this.#fd !== null) fs.closeSync(this.#fd);
    this.#fd = null;
    fs.rmSync(this.path, { force: true });
  }

  #ownDigest(): Digest {
    if (this.#hash === null) throw new Error('the digest of this file is not known');
    return fromHex(this.#hash.digest('hex'));
  }
}
