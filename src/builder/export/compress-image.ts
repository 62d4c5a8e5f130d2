import { CairnError } from '../../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeIndex,
  decodeManifest,
  encodeIndex,
  encodeManifest,
  mediaType,
} from '../../oci/index.ts';
import type { LayerCompression, Store } from '../../store/index.ts';
import type { ExportedImage } from './export-image.ts';

const types: Readonly<Record<'oci' | 'docker', Readonly<Record<LayerCompression, string | null>>>> = {
  oci: { gzip: mediaType.ociLayerGzip, zstd: mediaType.ociLayerZstd },
  docker: { gzip: mediaType.dockerLayerGzip, zstd: null },
};

/**
 * The same image with compressed layers, in the store's blobs: other manifests, the same configs and so image IDs.
 * @throws {CairnError} OUTPUT_INVALID for a compression that Docker's media types have no name for
 */
export async function compressImage(
  image: ExportedImage,
  compression: LayerCompression,
  store: Store,
): Promise<ExportedImage> {
  const compressed = new Map<Digest, Descriptor>();
  const images: ExportedImage['images'][number][] = [];
  for (const each of image.images) {
    const descriptor = await compressManifest(each.manifestDigest, compression, store);
    compressed.set(each.manifestDigest, descriptor);
    images.push({ ...each, manifestDigest: descriptor.digest });
  }
  const single = compressed.get(image.descriptor.digest);
  const fresh = single ?? rewriteIndex(image.descriptor.digest, compressed, store);
  return { ...image, images, descriptor: { ...image.descriptor, ...fresh } };
}

async function compressManifest(
  manifestDigest: Digest,
  compression: LayerCompression,
  { blobs, layers }: Store,
): Promise<Descriptor> {
  const manifest = decodeManifest(blobs.readText(manifestDigest), `manifest ${manifestDigest}`);
  const family = manifest.mediaType === mediaType.dockerManifest ? 'docker' : 'oci';
  const type = types[family][compression];
  if (type === null)
    throw new CairnError('OUTPUT_INVALID', {
      message: `Docker's media types have no ${compression} layers`,
      help: 'leave oci-mediatypes=false out, or use compression=gzip',
    });
  const compressedLayers: Descriptor[] = [];
  for (const layer of manifest.layers) {
    const writer = blobs.create();
    try {
      for await (const chunk of layers.compressed(layer.digest as DiffId, compression)) writer.write(chunk);
      compressedLayers.push({ mediaType: type, ...writer.commit() });
    } finally {
      writer.abort();
    }
  }
  const text = encodeManifest({ ...manifest, layers: compressedLayers });
  const mediaTypeOfManifest = manifest.mediaType ?? mediaType.ociManifest;
  return { mediaType: mediaTypeOfManifest, digest: blobs.put(text), size: Buffer.byteLength(text) };
}

function rewriteIndex(
  digest: Digest,
  manifests: ReadonlyMap<Digest, Descriptor>,
  { blobs }: Store,
): Pick<Descriptor, 'digest' | 'size'> {
  const index = decodeIndex(blobs.readText(digest), `index ${digest}`);
  const text = encodeIndex({
    ...index,
    manifests: index.manifests.map((item) => ({ ...item, ...manifests.get(item.digest) })),
  });
  return { digest: blobs.put(text), size: Buffer.byteLength(text) };
}
