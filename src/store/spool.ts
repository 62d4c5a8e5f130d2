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
  readonly #path: string;
  readonly #hash: Hash = createHash('sha256');
  #fd: number | null;
  #size = 0;

  constructor(root: string, path: string) {
    this.#root = root;
    this.#path = path;
    this.#fd = fs.openSync(path, 'wx', 0o600);
  }

  /** Appends. @throws {CairnError} STORE_FULL */
  write(chunk: Uint8Array): void {
    const fd = this.#fd;
    if (fd === null) throw new Error('write to a finished file');
    withStoreErrors(this.#root, () => writeFully(fd, chunk));
    this.#hash.update(chunk);
    this.#size += chunk.length;
  }

  finish(): SpooledFile {
    if (this.#fd === null) throw new Error('this file was finished before');
    fs.closeSync(this.#fd);
    this.#fd = null;
    return { path: this.#path, digest: fromHex(this.#hash.digest('hex')), size: this.#size };
  }

  /** Removes the file unless `publish` has moved it. */
  discard(): void {
    if (this.#fd !== null) fs.closeSync(this.#fd);
    this.#fd = null;
    fs.rmSync(this.#path, { force: true });
  }
}
