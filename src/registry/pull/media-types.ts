import { CairnError } from '../../errors/index.ts';
import { type Descriptor, mediaType } from '../../oci/index.ts';
import type { LayerCompression } from '../../store/contracts.ts';

const indexTypes: ReadonlySet<string> = new Set([mediaType.ociIndex, mediaType.dockerIndex]);
const manifestTypes: ReadonlySet<string> = new Set([mediaType.ociManifest, mediaType.dockerManifest]);
const configTypes: ReadonlySet<string> = new Set([mediaType.ociConfig, mediaType.dockerConfig]);

/** True for a list of manifests. */
export function isIndexType(type: string): boolean {
  return indexTypes.has(type);
}

/** True for one manifest. */
export function isManifestType(type: string): boolean {
  return manifestTypes.has(type);
}

/** @throws {CairnError} MEDIA_TYPE_UNSUPPORTED for the config of something else than an image (a chart, a signature) */
export function requireImageConfig({ mediaType: type }: Descriptor, doing: string): void {
  if (configTypes.has(type)) return;
  throw new CairnError('MEDIA_TYPE_UNSUPPORTED', {
    message: `${doing}: this is not a container image: its config has the type "${type.slice(0, 100)}"`,
    help: '"cairn copy" copies artifacts of every kind between registries and layouts',
  });
}

const layerTypes: Readonly<Record<string, LayerCompression | 'none'>> = {
  [mediaType.ociLayer]: 'none',
  [mediaType.ociLayerGzip]: 'gzip',
  [mediaType.ociLayerZstd]: 'zstd',
  [mediaType.dockerLayer]: 'none',
  [mediaType.dockerLayerGzip]: 'gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'zstd',
};

/**
 * How a layer is compressed.
 * @throws {CairnError} LAYER_FOREIGN for one that lies elsewhere, MEDIA_TYPE_UNSUPPORTED for one that is no file system
 */
export function compressionOfLayer(
  { mediaType: type, urls, digest }: Descriptor,
  doing: string,
): LayerCompression | 'none' {
  if (/foreign|nondistributable/.test(type))
    throw new CairnError('LAYER_FOREIGN', {
      message: `${doing}: layer ${digest} is not in the registry, but at ${urls?.[0] ?? 'an unknown place'}`,
      help: 'URLs in manifests are not followed: have the image pushed with all of its layers',
    });
  const compression = Object.hasOwn(layerTypes, type) ? layerTypes[type] : undefined;
  if (compression !== undefined) return compression;
  throw new CairnError('MEDIA_TYPE_UNSUPPORTED', {
    message: `${doing}: layer ${digest} has the type "${type.slice(0, 100)}"`,
    help: 'Cairn knows tar layers, plain or compressed with gzip or zstd',
  });
}

/** The media type of a layer in a manifest of OCI's or Docker's kind. */
export function layerType(compression: LayerCompression | 'none', kind: 'oci' | 'docker'): string {
  if (kind === 'docker' && compression === 'none') return mediaType.dockerLayer;
  if (kind === 'docker' && compression === 'gzip') return mediaType.dockerLayerGzip;
  // Docker's schema 2 has no type for zstd: OCI's is what engines that know it expect.
  return { none: mediaType.ociLayer, gzip: mediaType.ociLayerGzip, zstd: mediaType.ociLayerZstd }[
    compression
  ];
}
