import { CairnError } from '../errors/index.ts';
import {
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  parsePlatform,
  samePlatform,
} from '../oci/index.ts';
import type { ImageRecord, ImageStore } from '../store/contracts.ts';

/**
 * `--platform` of commands on one image.
 * @throws {CairnError} IMAGE_NOT_FOUND when the image is of another platform, USAGE for a malformed one
 */
export function requirePlatform(record: ImageRecord, wanted: string | undefined): void {
  if (wanted === undefined) return;
  const platform = parsePlatform(wanted, hostPlatform());
  if (samePlatform(platform, record.config)) return;
  throw new CairnError('IMAGE_NOT_FOUND', {
    message: `image with reference ${record.tags[0] ?? record.id} was found but its platform (${formatPlatform(normalizePlatform(record.config))}) does not match the specified platform (${formatPlatform(platform)})`,
  });
}

/**
 * The image that a name means with `--platform`: of a list of platforms that one, else the image if it is for that platform.
 * @throws {CairnError} as `requirePlatform`, REFERENCE_AMBIGUOUS
 */
export function imageForPlatform(images: ImageStore, name: string, wanted: string | undefined): ImageRecord {
  if (wanted === undefined) return images.get(name);
  const platform = parsePlatform(wanted, hostPlatform());
  const record = images.find(name, { platform }) ?? images.get(name);
  requirePlatform(record, wanted);
  return record;
}
