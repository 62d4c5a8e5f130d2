import type { BuildResult } from '../../builder/index.ts';
import { canonicalName, hexOf } from '../../oci/index.ts';
import type { Diagnostic } from '../../parser/index.ts';
import type { Host } from '../host.ts';

/**
 * buildx's metadata file (`--metadata-file`). Digests and names are there when an output has an image; findings of the build checks with
 * BUILDX_METADATA_WARNINGS, as for buildx.
 */
export function metadataOf(result: BuildResult, { env }: Pick<Host, 'env'>): string {
  const { descriptor, images, manifestDigest, imageId, names, warnings } = result;
  const isSingle = images.some((image) => image.manifestDigest === manifestDigest);
  const document = {
    'buildx.build.ref': `cairn/cairn/${hexOf(manifestDigest).slice(0, 25)}`,
    ...(/^(?:1|t|true)$/i.test(env.BUILDX_METADATA_WARNINGS ?? '')
      ? { 'buildx.build.warnings': warnings.map(warningOf) }
      : {}),
    ...(result.hasImage
      ? {
          ...(isSingle ? { 'containerimage.config.digest': imageId } : {}),
          'containerimage.descriptor': descriptor,
          'containerimage.digest': descriptor.digest,
          ...(names.length > 0 ? { 'image.name': names.map(canonicalName).join(',') } : {}),
        }
      : {}),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Go writes byte strings as base64. */
function warningOf({ rule, message, description, url, span }: Diagnostic) {
  return {
    level: 1,
    short: Buffer.from(`${rule}: ${message} (line ${span.line})`).toString('base64'),
    detail: [Buffer.from(description).toString('base64')],
    ...(url ? { url } : {}),
    range: [{ start: { line: span.line }, end: { line: span.endLine } }],
  };
}
