import { CairnError, hasCode, type Span } from '../errors/index.ts';
import { familiarName, type Platform, parseReference, withDefaultTag } from '../oci/index.ts';
import type { ImageRecord } from '../store/contracts.ts';
import type { BuildOptions } from './contracts.ts';
import { findImage } from './find-image.ts';
import { type LockedImage, LockFile, lockedImageMissing, lockedReference } from './lock-file.ts';
import type { RecordedImage } from './record/build-record.ts';

export type FindImage = (name: string, platform: Platform, at: Span) => Promise<ImageRecord>;

/** How a build finds the images that its Dockerfile names. */
export interface ImageFinder {
  readonly find: FindImage;
  /** Called when all names are found: writes the lock file, if there is one. */
  done(): void;
}

/**
 * By what a build record says, else by the lock file, else by name.
 * @param recorded - images of a record: no other one is taken for their names.
 * @throws {CairnError} LOCK_INVALID
 */
export function imageFinder(options: BuildOptions, recorded: readonly RecordedImage[] = []): ImageFinder {
  const byName: FindImage = (name, platform, at) => findImage(options.store, name, platform, at, options);
  if (recorded.length > 0) return { find: recordedFinder(options, recorded, byName), done: () => undefined };
  if (options.lock === undefined) return { find: byName, done: () => undefined };
  const lock = LockFile.read(options.lock.path);
  return { find: lockedFinder(options, lock, byName), done: () => lock.save() };
}

function lockedFinder(options: BuildOptions, lock: LockFile, byName: FindImage): FindImage {
  return async (name, platform, at) => {
    const reference = withDefaultTag(parseReference(name));
    const locked = lock.find(reference, platform);
    if (locked !== null) return findLocked(options, locked, { platform, at, path: lock.path });
    const image = await byName(name, platform, at);
    lock.set(reference, platform, image);
    return image;
  };
}

interface LockedSearch {
  readonly platform: Platform;
  readonly at: Span;
  readonly path: string;
}

async function findLocked(
  { store, pull }: BuildOptions,
  locked: LockedImage,
  { platform, at, path }: LockedSearch,
): Promise<ImageRecord> {
  const present = store.images.find(locked.image);
  if (present !== null) {
    store.lease(present.manifestDigest);
    return present;
  }
  let cause: unknown;
  try {
    const pulled = await pull?.(lockedReference(locked), platform);
    if (pulled?.id === locked.image) return pulled;
  } catch (error) {
    if (hasCode(error, 'ABORTED')) throw error;
    cause = error;
  }
  const { code, message, notes, help } = lockedImageMissing(locked, path);
  throw new CairnError(code, { message, notes, at, cause, ...(help ? { help } : {}) });
}

function recordedFinder(
  { store }: BuildOptions,
  recorded: readonly RecordedImage[],
  byName: FindImage,
): FindImage {
  return async (name, platform, at) => {
    const shown = familiarName(withDefaultTag(parseReference(name)));
    const images = recorded.filter((image) => image.name === shown);
    // A trigger of a base may name images that the record does not know.
    if (images.length === 0) return byName(name, platform, at);
    for (const { imageId } of images) {
      const image = store.images.find(imageId);
      if (image === null || image.config.architecture !== platform.architecture) continue;
      store.lease(image.manifestDigest);
      return image;
    }
    throw new CairnError('VERIFY_IMPOSSIBLE', {
      message: `image "${shown}" (${images.map(({ imageId }) => imageId).join(', ')}) is not in the store`,
      at,
      help: 'bring in the image with exactly that ID: the record says that the build was made from it',
    });
  };
}
