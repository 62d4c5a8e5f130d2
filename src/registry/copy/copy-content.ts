import { type Descriptor, decodeIndex, decodeManifest, type Platform } from '../../oci/index.ts';
import { verified } from '../client/download-blob.ts';
import { forEachParallel } from '../client/for-each-parallel.ts';
import type { FetchedManifest } from '../client/repository-client.ts';
import { choosePlatform } from '../pull/choose-platform.ts';
import { isIndexType } from '../pull/media-types.ts';
import type { ContentSink, ContentSource } from './content.ts';

export interface CopyOptions {
  /** Begins error messages. */
  readonly doing: string;
  /** Of an index only the image for this platform; everything when absent. */
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
}

const blobsAtOnce = 4;

/**
 * Copies what a name stands for, bytes and digests unchanged: blobs first, manifests when all that they need is there.
 * @throws {CairnError} DIGEST_MISMATCH, PLATFORM_MISMATCH, DOCUMENT_INVALID, and what source and sink throw
 */
export async function copyContent(
  source: ContentSource,
  sink: ContentSink,
  options: CopyOptions,
): Promise<FetchedManifest> {
  const top = await source.top();
  const { doing, platform } = options;
  if (!isIndexType(top.mediaType)) return copyManifest(source, sink, top, { ...options, isTop: true });
  const index = decodeIndex(top.bytes.toString('utf8'), `index ${top.digest}`);
  if (platform !== undefined) {
    const chosen = await source.manifest(choosePlatform(index, platform, doing).digest);
    return copyManifest(source, sink, chosen, { ...options, isTop: true });
  }
  for (const { digest } of index.manifests)
    await copyManifest(source, sink, await source.manifest(digest), { ...options, isTop: false });
  await sink.putManifest(top, true);
  return top;
}

async function copyManifest(
  source: ContentSource,
  sink: ContentSink,
  manifest: FetchedManifest,
  { doing, signal, isTop }: CopyOptions & { readonly isTop: boolean },
): Promise<FetchedManifest> {
  const { config, layers } = decodeManifest(manifest.bytes.toString('utf8'), `manifest ${manifest.digest}`);
  const blobs = new Map<string, Descriptor>([config, ...layers].map((each) => [each.digest, each]));
  await forEachParallel([...blobs.values()], { limit: blobsAtOnce, signal }, async (descriptor) => {
    if (await sink.hasBlob(descriptor)) return;
    await sink.putBlob(descriptor, () => verified(source.blob(descriptor), descriptor, doing));
  });
  await sink.putManifest(manifest, isTop);
  return manifest;
}
