import type { Annotation, AnnotationPlace } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import { formatPlatform, hostPlatform, parsePlatform } from '../../oci/index.ts';

const places: readonly AnnotationPlace[] = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'];
const placePattern = /^(manifest|index|manifest-descriptor|index-descriptor)(?:\[([^\]]*)\])?$/;

/**
 * Reads `[PLACE[PLATFORM],…:]KEY=VALUE` of `--annotation`. Without a place it is the manifest's.
 * @throws {CairnError} ANNOTATION_INVALID
 */
export function annotationsOf(texts: readonly string[]): readonly Annotation[] {
  return texts.flatMap((text) => {
    const equals = text.indexOf('=');
    if (equals < 0) throw invalid(text, 'it has no "="');
    // A key may have a colon of its own: only known places stand before one.
    const colon = text.indexOf(':');
    const hasPlaces = colon >= 0 && colon < equals && isPlaceList(text.slice(0, colon));
    const [where, key] = hasPlaces
      ? [text.slice(0, colon), text.slice(colon + 1, equals)]
      : ['manifest', text.slice(0, equals)];
    if (key === '') throw invalid(text, 'its key is empty');
    const value = text.slice(equals + 1);
    return splitPlaces(where).map((place) => ({ ...readPlace(place, text), key, value }));
  });
}

/** Reads an option `annotation[-PLACE][[PLATFORM]].KEY` of `--output`; null for any other option. */
export function annotationOption(key: string, value: string): Annotation | null {
  const match =
    /^annotation(?:-(manifest|index|manifest-descriptor|index-descriptor))?(?:\[([^\]]*)\])?\.(.+)$/.exec(
      key,
    );
  if (!match) return null;
  const place = `${match[1] ?? 'manifest'}${match[2] === undefined ? '' : `[${match[2]}]`}`;
  return { ...readPlace(place, key), key: match[3] as string, value };
}

function isPlaceList(text: string): boolean {
  return splitPlaces(text).every((place) => placePattern.test(place));
}

function splitPlaces(text: string): readonly string[] {
  return text.split(',').map((place) => place.trim());
}

function readPlace(text: string, whole: string): Pick<Annotation, 'place' | 'platform'> {
  const [, place = '', platform] = placePattern.exec(text) ?? [];
  const known = places.find((each) => each === place);
  if (known === undefined) throw invalid(whole, `"${text}" is no place`);
  if (platform === undefined) return { place: known };
  if (known === 'index' || known === 'index-descriptor')
    throw invalid(whole, `${known} has no platform: there is one list for all of them`);
  return { place: known, platform: formatPlatform(parsePlatform(platform, hostPlatform())) };
}

function invalid(text: string, why: string): CairnError {
  return new CairnError('ANNOTATION_INVALID', {
    message: `invalid annotation "${text}": ${why}`,
    help: `write KEY=VALUE or PLACE:KEY=VALUE; places are ${places.join(', ')}, with a platform as manifest[linux/arm64]`,
    exitCode: 2,
  });
}
