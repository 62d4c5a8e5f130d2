import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import { type Digest, digestOf, fromHex, hexOf } from '../oci/index.ts';
import type { FileIdentity, StatCache } from './contracts.ts';
import { readIfExists, replaceFile } from './durable-file.ts';
import { isNetworkFileSystem } from './network-file-system.ts';
import { type IdentityBytes, StatTable } from './stat-table.ts';
import { isSystemError } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

const second = 1_000_000_000n;
/** Kernel clock ticks are at most 10 ms apart (HZ=100); file systems with sub-second times store at least 10 ms (exFAT). */
const fineMarginNs = 20_000_000n;
/** FAT counts mtimes in steps of two seconds; ext3 and HFS+ in seconds. */
const coarseMarginNs = 2n * second;
/** A file server stamps with its own clock; more than this it should not be behind ours. */
const networkMarginNs = 600n * second;

export interface StatCacheOptions {
  /** The folder whose files are cached; names the file in cache/stat and tells whether a network lies between. */
  readonly context: string;
  /** The caller's clock in milliseconds; see `StatCache`. */
  readonly now?: () => number;
}

/**
 * Digests of a context's files by identity, in one file for each context.
 *
 * git's racy-clean rule: a file that changes again within the tick of the clock in which it was last changed keeps
 * its times, so a digest taken in that tick proves nothing. Hence an entry is kept only when both times of the
 * file are older, by what the clock and the file system may round, than the moment from which on files were read. That
 * moment is the mtime of a nameless file made in the store then (the kernel's clock as file systems see it, whatever
 * the program believes the time is), or the caller's clock where that is earlier (a store on a server whose clock is
 * ahead). A racy file is simply read again by the next build.
 */
export class FileStatCache implements StatCache {
  readonly #paths: StorePaths;
  readonly #session: WorkSession;
  readonly #options: StatCacheOptions;
  readonly #identity: IdentityBytes = Buffer.alloc(40);
  readonly #words = new BigUint64Array(this.#identity.buffer, this.#identity.byteOffset, 5);
  #table: StatTable | null = null;
  #readingSinceNs: bigint | null = null;
  #isNetwork: boolean | null = null;
  #isDirty = false;

  constructor(paths: StorePaths, session: WorkSession, options: StatCacheOptions) {
    this.#paths = paths;
    this.#session = session;
    this.#options = options;
  }

  get(stat: FileIdentity): Digest | null {
    const found = this.#load().get(this.#encode(stat));
    return found === null ? null : fromHex(found.toString('hex'));
  }

  put(stat: FileIdentity, digest: Digest): void {
    const table = this.#load();
    const identity = this.#encode(stat);
    if (!this.#isRacy(stat)) table.set(identity, Buffer.from(hexOf(digest), 'hex'));
    else if (!table.invalidate(identity)) return;
    this.#isDirty = true;
  }

  /**
   * Says that no file is being read at this moment: files changed before it are trusted from now on. A caller that
   * first walks and then reads calls it in between; without it, the first `get` or `put` counts.
   */
  mark(): void {
    this.#readingSinceNs = this.#clockNs();
  }

  save(): void {
    if (!this.#isDirty || this.#table === null) return;
    try {
      const temporary = this.#session.temporary();
      replaceFile(this.#path(), this.#table.encode(), { temporary, mode: 0o600, durable: false });
      this.#isDirty = false;
    } catch (error) {
      // A cache that cannot be written (disk full, read-only store) costs the next build time, not this one its result.
      if (
        !(error instanceof CairnError) &&
        !isSystemError(error, 'ENOSPC', 'EDQUOT', 'EACCES', 'EROFS', 'EIO', 'ENOENT')
      )
        throw error;
    }
  }

  #load(): StatTable {
    if (this.#table === null) {
      this.#readingSinceNs ??= this.#clockNs();
      const bytes = readIfExists(this.#path());
      this.#table = (bytes === null ? null : StatTable.decode(bytes)) ?? StatTable.empty();
    }
    return this.#table;
  }

  #path(): string {
    return join(this.#paths.stat, hexOf(digestOf(this.#options.context)).slice(0, 32));
  }

  #encode(stat: FileIdentity): IdentityBytes {
    this.#words[0] = BigInt(stat.dev);
    this.#words[1] = BigInt(stat.ino);
    this.#words[2] = BigInt(stat.size);
    this.#words[3] = stat.mtimeNs;
    this.#words[4] = stat.ctimeNs;
    return this.#identity;
  }

  #isRacy(stat: FileIdentity): boolean {
    const trustedUntil = (this.#readingSinceNs ?? 0n) - this.#marginNs(stat);
    return stat.mtimeNs >= trustedUntil || stat.ctimeNs >= trustedUntil;
  }

  #marginNs(stat: FileIdentity): bigint {
    this.#isNetwork ??= isNetworkFileSystem(this.#options.context);
    if (this.#isNetwork) return networkMarginNs;
    const isCoarse = stat.ctimeNs % second === 0n || stat.mtimeNs % second === 0n;
    return isCoarse ? coarseMarginNs : fineMarginNs;
  }

  /** Zero (everything is racy) when the store cannot be written. */
  #clockNs(): bigint {
    const { now } = this.#options;
    try {
      const stored = fileSystemClockNs(this.#paths.tmp) ?? this.#clockOfNamedFile();
      const callers = now === undefined ? stored : BigInt(Math.floor(now())) * 1_000_000n;
      return callers < stored ? callers : stored;
    } catch (error) {
      if (error instanceof CairnError || isSystemError(error, 'ENOSPC', 'EDQUOT', 'EACCES', 'EROFS'))
        return 0n;
      throw error;
    }
  }

  #clockOfNamedFile(): bigint {
    const path = this.#session.temporary();
    fs.closeSync(fs.openSync(path, 'wx', 0o600));
    const { mtimeNs } = fs.statSync(path, { bigint: true });
    fs.rmSync(path);
    return mtimeNs;
  }
}

// open(2), asm-generic/fcntl.h: __O_TMPFILE, which Node has no name for.
const tmpfileFlag = 0o20000000;

/** The mtime of a fresh file without a name (O_TMPFILE), or null where there is no such folder or no such thing. */
function fileSystemClockNs(folder: string): bigint | null {
  let fd: number;
  try {
    fd = fs.openSync(folder, tmpfileFlag | fs.constants.O_DIRECTORY | fs.constants.O_RDWR, 0o600);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EISDIR', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL')) return null;
    throw error;
  }
  try {
    return fs.fstatSync(fd, { bigint: true }).mtimeNs;
  } finally {
    fs.closeSync(fd);
  }
}
