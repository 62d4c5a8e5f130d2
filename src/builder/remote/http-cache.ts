import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Digest, digestOf, fromHex, hexOf, isDigest } from '../../oci/index.ts';
import { type HeldEntries, removeUnheld } from './held-entries.ts';

/** What is known of a URL's content. `etag` and `lastModified` are the server's words. */
export interface HttpRecord {
  readonly digest: Digest;
  readonly size: number;
  readonly etag?: string;
  readonly lastModified?: string;
  /** The server's clock when it sent the content. */
  readonly date?: string;
  /** Identity of the file that was last seen to have the digest: it need not be read again while this holds. */
  readonly file: string;
}

/** A body in the making. */
export interface NewBody {
  write(chunk: Uint8Array): void;
  /** Puts it into the cache. */
  finish(): { readonly digest: Digest; readonly size: number };
  discard(): void;
}

const version = 1;

/**
 * Downloaded files: `urls/<key>.json` says what a URL gave, `bodies/<hex>` has the bytes. Everything in it may be lost or
 * removed at any time; what is read is checked.
 */
export class HttpCache {
  readonly #folder: string;
  readonly #scratch: string;
  #counter = 0;

  /** @param scratch - a private folder in the same file system */
  constructor(folder: string, scratch: string) {
    this.#folder = folder;
    this.#scratch = scratch;
    mkdirSync(join(folder, 'urls'), { recursive: true, mode: 0o700 });
    mkdirSync(join(folder, 'bodies'), { recursive: true, mode: 0o700 });
  }

  bodyPath(digest: Digest): string {
    return join(this.#folder, 'bodies', hexOf(digest));
  }

  /** The record of a URL if its body is there and whole; the body is held then. */
  find(key: Digest, held: HeldEntries): HttpRecord | null {
    const record = this.#read(key);
    if (record === null || !held.hold(this.bodyPath(record.digest))) return null;
    const path = this.bodyPath(record.digest);
    const identity = identityOf(path);
    if (identity === record.file) return record;
    if (hashOf(path) !== record.digest) {
      held.forget(path);
      rmSync(path, { force: true });
      return null;
    }
    return { ...record, file: identity };
  }

  /** Remembers what a URL gave, and lets the body that it gave before go. @param atMs - for prune: when it was of use */
  put(key: Digest, record: Omit<HttpRecord, 'file'>, atMs: number): void {
    const before = this.#read(key);
    const path = this.#recordPath(key);
    const temporary = this.#temporary();
    const file = identityOf(this.bodyPath(record.digest));
    writeFileSync(temporary, JSON.stringify({ version, ...record, file }), { mode: 0o600 });
    utimesSync(temporary, atMs / 1000, atMs / 1000);
    renameSync(temporary, path);
    if (before === null || before.digest === record.digest) return;
    const old = this.bodyPath(before.digest);
    removeUnheld(old, () => rmSync(old, { force: true }));
  }

  create(held: HeldEntries): NewBody {
    const temporary = this.#temporary();
    const fd = openSync(temporary, 'wx', 0o600);
    const hash = createHash('sha256');
    let size = 0;
    let isOpen = true;
    const close = () => {
      if (isOpen) closeSync(fd);
      isOpen = false;
    };
    return {
      write: (chunk) => {
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
        hash.update(chunk);
        size += chunk.length;
      },
      finish: () => {
        // A record must never name a body that a power cut made shorter.
        fsyncSync(fd);
        close();
        const digest = fromHex(hash.digest('hex'));
        this.#publish(temporary, digest, held);
        return { digest, size };
      },
      discard: () => {
        close();
        rmSync(temporary, { force: true });
      },
    };
  }

  /** Another process may be reading, and holding, the same content already: that file stays then. */
  #publish(temporary: string, digest: Digest, held: HeldEntries): void {
    const path = this.bodyPath(digest);
    if (held.hold(path)) {
      if (hashOf(path) === digest) {
        rmSync(temporary);
        return;
      }
      held.forget(path);
    }
    renameSync(temporary, path);
    if (!held.hold(path)) throw new Error(`a new file of the source cache vanished: ${path}`);
  }

  #read(key: Digest): HttpRecord | null {
    try {
      const value = JSON.parse(readFileSync(this.#recordPath(key), 'utf8')) as HttpRecord & {
        readonly version: number;
      };
      const isSound = value.version === version && isDigest(value.digest) && Number.isSafeInteger(value.size);
      return isSound ? value : null;
    } catch (error) {
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  #recordPath(key: Digest): string {
    return join(this.#folder, 'urls', `${hexOf(key)}.json`);
  }

  #temporary(): string {
    this.#counter += 1;
    return join(this.#scratch, `http-${this.#counter}`);
  }
}

/** Names a request: the URL, and headers that may change the answer. Secrets enter only through a hash. */
export function httpCacheKey(url: string, headers: Readonly<Record<string, string>>): Digest {
  return digestOf(JSON.stringify([url, Object.entries(headers).sort()]));
}

function identityOf(path: string): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = lstatSync(path, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

function hashOf(path: string): Digest {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(1 << 20);
  const fd = openSync(path, 'r');
  try {
    for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) hash.update(buffer.subarray(0, n));
  } finally {
    closeSync(fd);
  }
  return fromHex(hash.digest('hex'));
}
