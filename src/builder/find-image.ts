import { CairnError, hasCode, type Span } from '../errors/index.ts';
import {
  familiarName,
  familiarRepository,
  formatPlatform,
  normalizePlatform,
  type Platform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.ts';
import type { ImageRecord, Store } from '../store/contracts.ts';
import type { BuildOptions } from './contracts.ts';

/** How images come in from registries: not at all when `pull` is absent. */
export type ImageAccess = Pick<BuildOptions, 'pull' | 'refreshBases'>;

/**
 * Finds the image of a FROM or --from in the store, or brings it in from its registry.
 * @throws {CairnError} IMAGE_NOT_FOUND, PLATFORM_MISMATCH at the place that names it; what stopped the registry is its cause
 */
export async function findImage(
  store: Store,
  name: string,
  platform: Platform,
  at: Span,
  access: ImageAccess = {},
): Promise<ImageRecord> {
  const reference = withDefaultTag(parseReference(name));
  const shown = familiarName(reference);
  // A digest names the same content for ever: there is nothing newer to look for.
  const isRefreshed =
    access.refreshBases === true && access.pull !== undefined && reference.digest === undefined;
  const present = isRefreshed ? null : inStore(store, reference, platform);
  if (present !== null && (access.pull === undefined || isFor(present, platform)))
    return used(store, checked(present, { platform, shown, at }));
  if (access.pull === undefined) throw absent(store, shown, at);
  try {
    return used(store, checked(await access.pull(reference, platform), { platform, shown, at }));
  } catch (error) {
    if (!(error instanceof CairnError) || error.at !== undefined || hasCode(error, 'ABORTED')) throw error;
    throw notPulled(error, { shown, at, isPresent: present !== null || isRefreshed });
  }
}

/** The image of that name for the platform, if any; else the one that has the name. */
function inStore(store: Store, reference: Reference, platform: Platform): ImageRecord | null {
  const name = familiarName(reference);
  // A list of platforms without the wanted one still is what the name stands for.
  const named = store.images.find(name, { platform }) ?? store.images.find(name);
  if (named === null || isFor(named, platform)) return named;
  // The name stands for the platform that was pulled last; the list that it came from knows the others.
  const repository = familiarRepository(reference);
  for (const digest of named.repoDigests.filter((each) => each.startsWith(`${repository}@`))) {
    const other = store.images.find(digest, { platform });
    if (other !== null && isFor(other, platform)) return other;
  }
  return named;
}

/** Another process may remove the image meanwhile; this build has seen it and goes on with it. */
function used(store: Store, image: ImageRecord): ImageRecord {
  store.lease(image.manifestDigest);
  return image;
}

function isFor({ config }: ImageRecord, wanted: Platform): boolean {
  const has = normalizePlatform({ os: config.os, architecture: config.architecture });
  return has.os === wanted.os && has.architecture === wanted.architecture;
}

interface Asked {
  readonly platform: Platform;
  readonly shown: string;
  readonly at: Span;
}

function checked(image: ImageRecord, { platform, shown, at }: Asked): ImageRecord {
  if (isFor(image, platform)) return image;
  const has = normalizePlatform({ os: image.config.os, architecture: image.config.architecture });
  throw new CairnError('PLATFORM_MISMATCH', {
    message: `image "${shown}" is for ${formatPlatform(has)}, the build is for ${formatPlatform(platform)}`,
    at,
    help: `bring in the image for ${formatPlatform(platform)}, or build with --platform ${formatPlatform(has)}`,
  });
}

function absent(store: Store, shown: string, at: Span): CairnError {
  try {
    store.images.get(shown);
    throw new Error(`${shown} is in the store and was not found`);
  } catch (cause) {
    if (!hasCode(cause, 'IMAGE_NOT_FOUND')) throw cause;
    return new CairnError('IMAGE_NOT_FOUND', {
      message: `image "${shown}" is not in the store`,
      at,
      help: `bring it in with "cairn load" or "cairn import", or fix the name; "cairn images" lists what is there`,
      cause,
    });
  }
}

function notPulled(
  cause: CairnError,
  { shown, at, isPresent }: { readonly shown: string; readonly at: Span; readonly isPresent: boolean },
): CairnError {
  return new CairnError(hasCode(cause, 'PLATFORM_MISMATCH') ? 'PLATFORM_MISMATCH' : 'IMAGE_NOT_FOUND', {
    message: isPresent
      ? `image "${shown}" could not be pulled`
      : `image "${shown}" is not in the store and could not be pulled`,
    at,
    notes: [{ message: `${cause.code}: ${cause.message}` }, ...cause.notes],
    help: `${cause.help ?? 'check the name'}; or bring the image in with "cairn load" or "cairn import"`,
    cause,
  });
}
