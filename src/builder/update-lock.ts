import { CairnError } from '../errors/index.ts';
import {
  canonicalName,
  familiarName,
  hostPlatform,
  parsePlatform,
  parseReference,
  withDefaultTag,
} from '../oci/index.ts';
import type { BuildOptions } from './contracts.ts';
import { findImage } from './find-image.ts';
import { type LockedImage, LockFile, lockedImage } from './lock-file.ts';

/** An entry of a lock file, as it was and as it is now. */
export interface LockUpdate {
  readonly before: LockedImage;
  readonly after: LockedImage;
}

/**
 * Locks what names mean now: by their registries where `pull` is given, else in the store.
 * @param names - as in a Dockerfile; every name of the file when empty.
 * @throws {CairnError} LOCK_INVALID, IMAGE_NOT_FOUND
 */
export async function updateLock(
  path: string,
  options: Pick<BuildOptions, 'store' | 'pull'>,
  names: readonly string[] = [],
): Promise<readonly LockUpdate[]> {
  const lock = LockFile.read(path);
  const wanted = new Set(names.map((name) => canonicalName(withDefaultTag(parseReference(name)))));
  for (const name of wanted)
    if (!lock.images.some((image) => image.name === name)) throw notLocked(name, lock);
  const at = { file: path, line: 1, column: 1, length: 1, endLine: 1, source: '' };
  const updates: LockUpdate[] = [];
  for (const before of lock.images) {
    if (wanted.size > 0 && !wanted.has(before.name)) continue;
    const reference = parseReference(before.name);
    const platform = parsePlatform(before.platform, hostPlatform());
    const image = await findCurrent(before.name, platform);
    lock.set(reference, platform, image);
    updates.push({ before, after: lockedImage(reference, platform, image) });
  }
  lock.save();
  return updates;

  /** An image that came from no registry means what its name means in the store. */
  async function findCurrent(name: string, platform: Parameters<typeof findImage>[2]) {
    const { store, pull } = options;
    try {
      return await findImage(store, name, platform, at, { ...(pull && { pull }), refreshBases: true });
    } catch (error) {
      const present = store.images.find(familiarName(parseReference(name)), { platform });
      if (present !== null && present.repoDigests.length === 0) return present;
      throw error;
    }
  }
}

function notLocked(name: string, lock: LockFile): CairnError {
  const known = lock.images.map((image) => `${familiarName(parseReference(image.name))} (${image.platform})`);
  return new CairnError('IMAGE_NOT_FOUND', {
    message: `"${familiarName(parseReference(name))}" is not in the lock file ${lock.path}`,
    help: known.length > 0 ? `it has ${known.join(', ')}` : 'it has no images: build with --lock first',
  });
}
