import { CairnError } from '../../errors/index.ts';
import type { Platform, Reference, RunConfig } from '../../oci/index.ts';
import type { ImageRecord } from '../contracts.ts';
import type { LocalStore } from '../open-store.ts';
import { decompress } from './decompress.ts';
import { aborted } from './spooled-archive.ts';

export interface ImportOptions {
  /** Name of the image; without a tag it is `latest`. Without a name the image is kept untagged. */
  readonly reference?: Reference;
  /** How to run the image, after the caller has applied the changes asked for. */
  readonly config: RunConfig;
  /** The history's comment: what the user said, or `Imported from …`. */
  readonly message: string;
  readonly platform: Platform;
  /** RFC 3339, UTC: an input like any other, so that equal inputs give equal images. */
  readonly created: string;
  readonly signal?: AbortSignal;
  /** Called with the number of (decompressed) bytes read so far. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * `docker import`: an image of one layer from the tar of a root file system, which may be compressed. The tar's own bytes
 * are the layer.
 * @throws {CairnError} ARCHIVE_INVALID, PROGRAM_NOT_FOUND, STORE_FULL, ABORTED; what `tar` throws passes
 */
export async function importImage(
  store: LocalStore,
  tar: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImageRecord> {
  const { reference, config, message, platform, created } = options;
  const { os, architecture, variant } = platform;
  const { diffId } = await store.layers.adopt(watched(decompress(tar), options));
  const { manifestDigest, id } = store.images.put({
    created,
    architecture,
    os,
    ...(variant === undefined ? {} : { variant }),
    config,
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: [{ created, comment: message }],
  });
  if (reference === undefined) store.images.keepUntagged(manifestDigest);
  else store.images.tag(manifestDigest, [reference]);
  return store.images.get(id);
}

async function* watched(tar: AsyncIterable<Uint8Array>, { signal, onProgress }: ImportOptions) {
  let bytes = 0;
  for await (const chunk of tar) {
    if (signal?.aborted) throw aborted(signal);
    bytes += chunk.length;
    onProgress?.(bytes);
    yield chunk;
  }
  if (bytes === 0) throw new CairnError('ARCHIVE_INVALID', { message: 'the input is empty' });
}
