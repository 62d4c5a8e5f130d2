import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type CairnError, hasCode } from '../../errors/index.ts';
import { openStore, type Toc } from '../../store/index.ts';
import { usableCpus } from '../../sys/index.ts';
import { obeysFrozenClock } from '../frozen-clock.ts';
import type { RunStep } from '../record/build-trail.ts';
import type { BuildSession } from '../session.ts';
import type { Cause } from './cause.ts';
import type { RunVariation } from './run-again.ts';
import { findClockLibrary } from './varied-clock.ts';

/** A layer, and the file that its bytes are in. */
export interface LayerFile {
  readonly toc: Toc;
  readonly tar: string;
}

/** What came of one more execution. */
export type Attempt = LayerFile | { readonly error: CairnError };

/** One way in which an environment differs, and what it shows when a result differs because of it. */
export interface Dimension {
  readonly cause: Cause;
  readonly variation: RunVariation;
}

export const variedHostname = 'cairn-varied-host';

/** About a quarter of a year, and no whole number of days, hours or minutes: month, day, hour, minute and second all change. */
const clockShiftSeconds = 97 * 86_400 + 5 * 3600 + 43 * 60 + 21;
/** Far from what a fresh sandbox gives. */
const variedLastPid = 21_000;
const folderPrefix = 'cairn-verify-';

/**
 * Where commands are executed again: it knows in which ways the environment can be varied on this machine, and keeps the layers that come of it
 * out of the build's store. One for each step.
 */
export class Laboratory {
  readonly #session: BuildSession;
  readonly #step: RunStep;
  readonly #root: string;
  readonly #store: ReturnType<typeof openStore>;
  readonly #otherFileSystem: string | null;
  #attempts = 0;

  constructor(session: BuildSession, step: RunStep) {
    this.#session = session;
    this.#step = step;
    this.#root = session.store.scratch();
    this.#store = openStore({ root: join(this.#root, 'store') });
    this.#otherFileSystem = openOtherFileSystem(session);
  }

  /** Milliseconds on the build's clock. */
  now(): number {
    return this.#session.now();
  }

  /** Parts of paths of this machine: no result may show them. */
  get hostPaths(): readonly string[] {
    return [this.#session.store.root, ...(this.#otherFileSystem === null ? [] : [this.#otherFileSystem])];
  }

  /** libfaketime, where the image's programs can load it and the build does not hold the clock anyway. */
  clockLibrary(): string | null {
    const { options, store } = this.#session;
    if (options.clock === 'frozen') return null;
    const { parent } = this.#step;
    return parent.length > 0 && obeysFrozenClock(store.layers.tree(parent)) ? findClockLibrary() : null;
  }

  /** All that can be varied here, each by itself. */
  dimensions(): readonly Dimension[] {
    const { visibleCpus } = this.#session.options;
    const library = this.clockLibrary();
    return [
      { cause: 'host-name', variation: { hostname: variedHostname } },
      ...(visibleCpus === undefined && usableCpus() > 1
        ? [{ cause: 'cpu-count', variation: { cpus: 1 } } as const]
        : []),
      { cause: 'process-ids', variation: { sandbox: 'builtin', lastPid: variedLastPid } },
      ...(this.#otherFileSystem === null
        ? []
        : [{ cause: 'directory-order', variation: { folder: this.#otherFileSystem } } as const]),
      { cause: 'umask', variation: { umask: 0o077 } },
      ...(library === null
        ? []
        : [{ cause: 'clock', variation: { clock: { library, shift: clockShiftSeconds } } } as const]),
    ];
  }

  /** Executes the command once more. Only its own failure is a result; whatever else goes wrong is thrown. */
  async attempt(variation: RunVariation): Promise<Attempt> {
    this.#session.signal.throwIfAborted();
    const base = variation.folder ?? this.#root;
    const folder = join(base, `${this.#attempts++}`);
    mkdirSync(folder, { mode: 0o700 });
    try {
      const toc = await this.#step.again({ ...variation, folder }, this.#store.layers);
      return { toc, tar: this.#store.blobs.path(toc.diffId) };
    } catch (error) {
      if (hasCode(error, 'RUN_FAILED')) return { error };
      const isVaried = variation.sandbox !== undefined;
      if (isVaried && (hasCode(error, 'SANDBOX_UNAVAILABLE') || hasCode(error, 'SANDBOX_FAILED'))) {
        const { sandbox: _, lastPid: __, ...rest } = variation;
        return this.attempt(rest);
      }
      throw error;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  close(): void {
    this.#store.close();
    for (const folder of [this.#root, this.#otherFileSystem])
      if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

/** Kinds that overlay can write to (magic numbers of statfs(2)): tmpfs, ext4, xfs, btrfs. */
const writableKinds: ReadonlySet<number> = new Set([0x01021994, 0xef53, 0x58465342, 0x9123683e]);
/** Of free space that a second file system should have. */
const enoughBytes = 1 << 30;

/** A folder on another file system than the store's, where directories come in another order; null where there is none. */
function openOtherFileSystem({ store, options }: BuildSession): string | null {
  const own = statSync(store.root).dev;
  for (const place of ['/dev/shm', options.hostEnv?.TMPDIR ?? '/tmp', '/var/tmp']) {
    try {
      const { type, bavail, bsize } = statfsSync(place);
      if (statSync(place).dev === own || !writableKinds.has(type) || bavail * bsize < enoughBytes) continue;
      removeLeftovers(place);
      return mkdtempSync(join(place, `${folderPrefix}${process.pid}-`));
    } catch {
      // Not there, or not for this user: the next one may do.
    }
  }
  return null;
}

/** Folders of processes that were killed. */
function removeLeftovers(place: string): void {
  for (const name of readdirSync(place)) {
    const pid = /^cairn-verify-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid)))
      rmSync(join(place, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
