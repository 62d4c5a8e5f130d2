import {
  type Descriptor,
  type Digest,
  decodeIndex,
  decodeManifest,
  encodeIndex,
  hexOf,
  mediaType,
} from '../../oci/index.ts';
import type { BlobStore } from '../contracts.ts';
import { isIndexType } from '../image-document.ts';
import { type ArchiveEntry, folderEntry, textEntry } from './archive-writer.ts';

export interface LayoutOptions {
  /** Further files beside index.json. */
  readonly files?: readonly ArchiveEntry[];
  /** Descriptors that index.json has as well, whose blobs are where the entries go already. */
  readonly others?: readonly Descriptor[];
}

/**
 * The entries of an OCI image layout (image-spec image-layout.md) whose index.json has these descriptors: small documents first,
 * then all blobs that they lead to, in byte order.
 */
export function* layoutEntries(
  blobs: BlobStore,
  manifests: readonly Descriptor[],
  { files = [], others = [] }: LayoutOptions = {},
): Generator<ArchiveEntry> {
  yield textEntry('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  yield textEntry(
    'index.json',
    encodeIndex({
      schemaVersion: 2,
      mediaType: mediaType.ociIndex,
      manifests: [...others, ...manifests],
    }),
  );
  yield* files;
  yield folderEntry('blobs');
  yield folderEntry('blobs/sha256');
  const digests = new Set(manifests.flatMap((descriptor) => closureOf(blobs, descriptor)));
  for (const digest of [...digests].sort())
    yield {
      name: `blobs/sha256/${hexOf(digest)}`,
      size: blobs.size(digest),
      open: () => blobs.read(digest),
    };
}

function closureOf(blobs: BlobStore, { mediaType: type, digest }: Descriptor): readonly Digest[] {
  const text = blobs.readText(digest);
  if (isIndexType(type))
    return [
      digest,
      ...decodeIndex(text, `index ${digest}`).manifests.flatMap((child) => closureOf(blobs, child)),
    ];
  const { config, layers } = decodeManifest(text, `manifest ${digest}`);
  return [digest, config.digest, ...layers.map((layer) => layer.digest)];
}
