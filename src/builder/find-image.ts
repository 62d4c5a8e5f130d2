import { CairnError, hasCode, type Span } from '../errors/index.ts';
import {
  familiarName,
  formatPlatform,
  normalizePlatform,
  type Platform,
  parseReference,
} from '../oci/index.ts';
import type { ImageRecord, Store } from '../store/contracts.ts';

/**
 * Finds the image of a FROM or --from in the store.
 * @throws {CairnError} IMAGE_NOT_FOUND at the place that names it
 */
export async function findImage(
  store: Store,
  name: string,
  platform: Platform,
  at: Span,
): Promise<ImageRecord> {
  const shown = familiarName(parseReference(name));
  try {
    const image = store.images.find(shown, { platform }) ?? store.images.get(shown);
    checkPlatform(image, platform, shown, at);
    // Another process may remove the image meanwhile; this build has seen it and goes on with it.
    store.lease(image.manifestDigest);
    return image;
  } catch (error) {
    if (!hasCode(error, 'IMAGE_NOT_FOUND')) throw error;
    throw new CairnError('IMAGE_NOT_FOUND', {
      message: `image "${shown}" is not in the store`,
      at,
      help: `bring it in with "cairn load" or "cairn import", or fix the name; "cairn images" lists what is there`,
      cause: error,
    });
  }
}

function checkPlatform({ config }: ImageRecord, wanted: Platform, name: string, at: Span): void {
  const has = normalizePlatform({ os: config.os, architecture: config.architecture });
  if (has.os === wanted.os && has.architecture === wanted.architecture) return;
  throw new CairnError('PLATFORM_MISMATCH', {
    message: `image "${name}" is for ${formatPlatform(has)}, the build is for ${formatPlatform(wanted)}`,
    at,
    help: `bring in the image for ${formatPlatform(wanted)}, or build with --platform ${formatPlatform(has)}`,
  });
}
