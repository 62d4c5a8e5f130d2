import { createHash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
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
const recordName = 'record.json';

export interface HttpCacheOptions {
  /** A private folder in the same file system. */
  readonly scratch: string;
  readonly held: HeldEntries;
}

/**
 * What one URL gave: `record.json`, and the bytes in a file named after their digest. Everything in it may be lost or removed at any
 * time; what is read is checked.
 */
export class HttpCache {
  readonly #folder: string;
  readonly #scratch: string;
  readonly #held: HeldEntries;
  #counter = 0;

  private constructor(folder: string, { scratch, held }: HttpCacheOptions) {
    this.#folder = folder;
    this.#scratch = scratch;
    this.#held = held;
  }

  /** Opens, and holds, the folder of a key (`httpCacheKey`). */
  static async open(cacheDir: string, key: Digest, options: HttpCacheOptions): Promise<HttpCache> {
    const folder = join(cacheDir, `http-${hexOf(key).slice(0, 40)}`);
    await options.held.make(folder);
    return new HttpCache(folder, options);
  }

  bodyPath(digest: Digest): string {
    return join(this.#folder, hexOf(digest));
  }

  /** The record if its body is there and whole; the body is held then. */
  find(): HttpRecord | null {
    const held = this.#held;
    const record = this.#read();
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

  /** Remembers what the URL gave, and lets what it gave before go. @param atMs - for prune: when it was of use */
  put(record: Omit<HttpRecord, 'file'>, atMs: number): void {
    const temporary = this.#temporary();
    const file = identityOf(this.bodyPath(record.digest));
    writeFileSync(temporary, JSON.stringify({ version, ...record, file }), { mode: 0o600 });
    renameSync(temporary, join(this.#folder, recordName));
    for (const name of readdirSync(this.#folder)) {
      const path = join(this.#folder, name);
      if (name !== recordName && name !== hexOf(record.digest))
        removeUnheld(path, () => rmSync(path, { force: true }));
    }
    utimesSync(this.#folder, atMs / 1000, atMs / 1000);
  }

  create(): NewBody {
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
        this.#publish(temporary, digest);
        return { digest, size };
      },
      discard: () => {
        close();
        rmSync(temporary, { force: true });
      },
    };
  }

  /** Another process may be reading, and holding, the same content already: that file stays then. */
  #publish(temporary: string, digest: Digest): void {
    const held = this.#held;
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

  #read(): HttpRecord | null {
    try {
      const value = JSON.parse(readFileSync(join(this.#folder, recordName), 'utf8')) as HttpRecord & {
        readonly version: number;
      };
      const isSound = value.version === version && isDigest(value.digest) && Number.isSafeInteger(value.size);
      return isSound ? value : null;
    } catch (error) {
      if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
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
