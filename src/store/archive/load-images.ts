import * as fs from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { type DiffId, familiarName, hostPlatform, type ImageId, type Platform } from '../../oci/index.ts';
import { toText } from '../../sys/index.ts';
import type { ImageRecord } from '../contracts.ts';
import type { LocalStore } from '../open-store.ts';
import type { SpooledFile } from '../spool.ts';
import { type ArchivedImage, imagesOfArchive } from './archived-image.ts';
import { decompress } from './decompress.ts';
import { LayerProbe, type StagedToc } from './layer-probe.ts';
import { type ArchivedFile, aborted, SpooledArchive } from './spooled-archive.ts';

export interface LoadOptions {
  /** Which image of several platforms; this machine's when absent. */
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
  /** Called with the number of (decompressed) archive bytes read so far. */
  readonly onProgress?: (bytes: number) => void;
}

export interface LoadedImage {
  readonly record: ImageRecord;
  /** Familiar names that now point at it; none for an archive without names. */
  readonly names: readonly string[];
  /** Names that pointed at another image before, which may be without a name now. */
  readonly replaced: readonly { readonly name: string; readonly id: ImageId }[];
}

/**
 * Reads an image archive that `docker save`, `podman save`, `skopeo copy` or `saveImages` wrote, or a tar of an OCI
 * layout; compressed or not, outside and inside. All images are verified before the first one is stored: on any
 * error the store is as before. Layers are stored uncompressed; configs, and so image IDs, are kept as they are.
 * @throws {CairnError} ARCHIVE_INVALID, DIGEST_MISMATCH, DOCUMENT_INVALID, PLATFORM_MISMATCH, PROGRAM_NOT_FOUND,
 *   STORE_FULL, ABORTED; what `input` throws passes
 */
export async function loadImages(
  store: LocalStore,
  input: AsyncIterable<Uint8Array>,
  options: LoadOptions = {},
): Promise<readonly LoadedImage[]> {
  const { blobs } = store.parts;
  const { signal, onProgress, platform } = options;
  const tar = decompress(input);
  const archive = await SpooledArchive.read(tar, {
    blobs,
    tocs: store.tocs,
    ...(signal && { signal }),
    ...(onProgress && { onProgress }),
  });
  const layers = new LayerVerifier(store, signal);
  try {
    const images = imagesOfArchive(archive, hostPlatform(), platform ?? null);
    for (const image of images)
      for (const layer of image.layers) await layers.verify(layer.file, layer.diffId);
    layers.publish();
    return images.map((image) => keep(store, image));
  } finally {
    layers.discard();
    archive.discard();
  }
}

function keep(store: LocalStore, { configBytes, names }: ArchivedImage): LoadedImage {
  const { manifestDigest, id } = store.images.putEncoded(configBytes);
  const familiar = [...new Set(names.map(familiarName))];
  const replaced = familiar.flatMap((name) => {
    const old = store.images.find(name);
    return old === null || old.id === id ? [] : [{ name, id: old.id }];
  });
  if (names.length > 0) store.images.tag(manifestDigest, names);
  else store.images.keepUntagged(manifestDigest);
  return { record: store.images.get(id), names: familiar, replaced };
}

interface VerifiedLayer {
  readonly file: SpooledFile;
  readonly toc: StagedToc;
}

/** Checks that layer files are what configs say, decompressing those that need it; each file once. */
class LayerVerifier {
  readonly #store: LocalStore;
  readonly #signal: AbortSignal | undefined;
  readonly #verified = new Map<DiffId, VerifiedLayer>();
  readonly #seen: VerifiedLayer[] = [];

  constructor(store: LocalStore, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#signal = signal;
  }

  /** @throws {CairnError} DIGEST_MISMATCH, ARCHIVE_INVALID */
  async verify(file: ArchivedFile, diffId: DiffId): Promise<void> {
    if (this.#verified.has(diffId)) return;
    const layer = file.layer === undefined ? await this.#expand(file) : plainLayer(file, file.layer);
    // Known before it is judged, so that it is discarded with the rest.
    this.#seen.push(layer);
    if (layer.file.digest !== diffId)
      throw new CairnError('DIGEST_MISMATCH', {
        message: `layer "${toText(file.name)}" in the archive is damaged: its config says ${diffId}, its bytes have ${layer.file.digest}`,
        help: 'copy or download the archive again',
      });
    this.#verified.set(diffId, layer);
  }

  /** Stores all verified layers with their tables of contents. */
  publish(): void {
    for (const { file, toc } of this.#verified.values()) {
      this.#store.parts.blobs.publish(file);
      this.#store.tocs.publish(toc);
    }
  }

  discard(): void {
    for (const { file, toc } of this.#seen) {
      fs.rmSync(file.path, { force: true });
      fs.rmSync(toc.path, { force: true });
    }
  }

  async #expand(file: ArchivedFile): Promise<VerifiedLayer> {
    const spool = this.#store.parts.blobs.spool({ isHashed: false });
    const probe = new LayerProbe(this.#store.tocs, { isKnownTar: true });
    try {
      const source = fs.createReadStream(file.path, { highWaterMark: 1 << 20 });
      for await (const chunk of decompress(source)) {
        if (this.#signal?.aborted) throw aborted(this.#signal);
        spool.write(chunk);
        probe.write(chunk);
      }
    } catch (error) {
      spool.discard();
      throw error;
    }
    const { digest, layer } = probe.finish(spool.path);
    if (layer !== null && !(layer instanceof CairnError)) return { file: spool.finish(digest), toc: layer };
    spool.discard();
    throw notALayer(file, layer);
  }
}

function plainLayer(file: ArchivedFile, toc: StagedToc | CairnError): VerifiedLayer {
  if (toc instanceof CairnError) throw notALayer(file, toc);
  return { file, toc };
}

function notALayer(file: ArchivedFile, cause: CairnError | null): CairnError {
  return new CairnError('ARCHIVE_INVALID', {
    message: `layer "${toText(file.name)}" in the archive cannot be read: ${cause?.message ?? 'it is empty'}`,
    ...(cause === null ? {} : { cause }),
  });
}
