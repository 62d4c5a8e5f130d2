import { CairnError } from '../../errors/index.ts';
import {
  type Descriptor,
  formatPlatform,
  hostPlatform,
  type Index,
  normalizePlatform,
  type Platform,
} from '../../oci/index.ts';
import { isManifestType } from './media-types.ts';

/**
 * The manifest of an index for a platform: the very one, else one whose code runs there as well (an older variant of ARM, 32 bits on
 * 64), as containerd chooses.
 * @throws {CairnError} PLATFORM_MISMATCH
 */
export function choosePlatform(index: Index, wanted: Platform | null, doing: string): Descriptor {
  const images = imagesOf(index);
  for (const platform of runnable(wanted ?? hostPlatform())) {
    const found = images.find((item) => item.platform !== undefined && isSame(item.platform, platform));
    if (found !== undefined) return found;
  }
  // A list of one without a platform says: this one.
  const [only, ...others] = images;
  if (only !== undefined && others.length === 0 && only.platform === undefined && wanted === null)
    return only;
  const offered = images.flatMap(({ platform }) =>
    platform ? [formatPlatform(normalizePlatform(platform))] : [],
  );
  throw new CairnError('PLATFORM_MISMATCH', {
    message: `${doing}: no matching manifest for ${formatPlatform(wanted ?? hostPlatform())} in the manifest list entries`,
    notes: [{ message: `it has ${offered.join(', ') || 'no images'}` }],
    help: 'choose one of them with --platform',
  });
}

/** The images of an index, without build attestations, which stand in it for the platform "unknown/unknown". */
export function imagesOf(index: Index): readonly Descriptor[] {
  return index.manifests.filter((item) => isManifestType(item.mediaType) && item.platform?.os !== 'unknown');
}

/** What runs on a platform, best first. */
function runnable(platform: Platform): readonly Platform[] {
  const { os, architecture, variant } = normalizePlatform(platform);
  const of = (name: string, ...variants: (string | undefined)[]): Platform[] =>
    variants.map((each) => normalizePlatform({ os, architecture: name, ...(each ? { variant: each } : {}) }));
  const level = Number(/^v(\d+)$/.exec(variant ?? '')?.[1] ?? 0);
  const down = (from: number, to: number) =>
    Array.from({ length: from - to + 1 }, (_, at) => `v${from - at}`);
  if (architecture === 'arm') return of('arm', ...down(level || 7, 5));
  if (architecture === 'arm64') return [...of('arm64', variant, undefined), ...of('arm', ...down(8, 5))];
  if (architecture === 'amd64')
    return [
      ...(level > 1 ? of('amd64', ...down(level, 2)) : []),
      ...of('amd64', undefined),
      ...of('386', undefined),
    ];
  return of(architecture, variant, undefined);
}

function isSame(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}
