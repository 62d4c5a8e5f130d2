import { CairnError } from '../../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeImageConfig,
  decodeIndex,
  decodeManifest,
  digestOf,
  encodeManifest,
  familiarName,
  formatPlatform,
  type ImageConfig,
  type Manifest,
  mediaType,
  normalizePlatform,
  type Platform,
  type Reference,
  samePlatform,
  withDefaultTag,
} from '../../oci/index.ts';
import type { ImageRecord, LayerCompression, LayerForm, Store } from '../../store/contracts.ts';
import { forEachParallel } from '../client/for-each-parallel.ts';
import type { FetchedManifest, RepositoryClient } from '../client/repository-client.ts';
import { imagesOf } from '../pull/choose-platform.ts';
import { isIndexType, layerType } from '../pull/media-types.ts';
import type { Registries } from '../registries.ts';
import type { TransferEvent } from '../transfer-event.ts';
import { BlobPusher } from './push-blob.ts';

export interface PushOptions {
  /** Of a list of platforms only this one. */
  readonly platform?: Platform;
  /** For layers that have no compressed form yet; gzip by default. */
  readonly compression?: LayerCompression;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TransferEvent) => void;
}

export interface PushedImage {
  /** Of the manifest, or of the index of several. */
  readonly digest: Digest;
  readonly size: number;
  readonly descriptor: Descriptor;
}

/** Blobs at once, as Docker's engine does. */
const uploadsAtOnce = 5;

/**
 * Pushes what a name stands for: an image, or a list of platforms with every image of it that is here. An image that was pulled, or
 * pushed before, goes with the manifest and the bytes it had there; layers that are new are compressed, in one way on every machine.
 * Blobs that the registry has are not sent, those of its other repositories are mounted. On return the store knows the image as
 * `repository@digest`, too.
 * @throws {CairnError} IMAGE_NOT_FOUND, PLATFORM_MISMATCH, REGISTRY_DENIED, REGISTRY_UNREACHABLE, REGISTRY_FAILED,
 *   REGISTRY_RESPONSE_INVALID, BLOB_NOT_FOUND
 */
export async function pushImage(
  registries: Registries,
  store: Store,
  reference: Reference,
  options: PushOptions = {},
): Promise<PushedImage> {
  const named = withDefaultTag(reference);
  const doing = `cannot push ${familiarName(named)}`;
  const target = store.images.target(named);
  if (target === null)
    throw new CairnError('IMAGE_NOT_FOUND', {
      message: `An image does not exist locally with the tag: ${familiarName(named)}`,
      help: '"cairn images" lists what is in the store; "cairn tag" gives an image the name to push it under',
    });
  const repository = await registries.repository(named);
  const push = new Push({ store, repository, named, doing, options });
  return isIndexType(target.mediaType) ? push.index(target) : push.single(target.digest);
}

interface PushInputs {
  readonly store: Store;
  readonly repository: RepositoryClient;
  readonly named: Reference;
  readonly doing: string;
  readonly options: PushOptions;
}

/** A manifest that is ready to go, with what it needs. */
interface Outgoing {
  readonly manifest: FetchedManifest;
  readonly document: Manifest;
  readonly diffIds: readonly DiffId[];
}

class Push {
  readonly #inputs: PushInputs;
  readonly #blobs: BlobPusher;

  constructor(inputs: PushInputs) {
    this.#inputs = inputs;
    this.#blobs = new BlobPusher(inputs);
  }

  async single(manifestDigest: Digest): Promise<PushedImage> {
    const { options, store } = this.#inputs;
    const { config } = this.#read(manifestDigest);
    if (options.platform !== undefined) this.#requirePlatform(config, options.platform);
    store.lease(manifestDigest);
    const outgoing = await this.#prepare(manifestDigest);
    return this.#finish(await this.#send([outgoing], outgoing.manifest));
  }

  async index(target: Descriptor): Promise<PushedImage> {
    const { store, doing, options } = this.#inputs;
    const text = store.blobs.readText(target.digest);
    const index = decodeIndex(text, `index ${target.digest}`);
    const here = imagesOf(index).filter(({ digest }) => store.blobs.has(digest));
    const { platform } = options;
    if (platform !== undefined) {
      const wanted = here.find(
        (item) => item.platform !== undefined && samePlatform(item.platform, platform),
      );
      if (wanted === undefined) throw this.#lacksPlatform(here, platform);
      return this.single(wanted.digest);
    }
    const images: Outgoing[] = [];
    for (const item of here) images.push(await this.#prepare(item.digest));
    const replaced = new Map(here.map((item, at) => [item.digest, images[at] as Outgoing]));
    const others = index.manifests.filter((item) => !replaced.has(item.digest));
    if (others.some((item) => item.platform?.os !== 'unknown'))
      throw new CairnError('BLOB_NOT_FOUND', {
        message: `${doing}: not all platforms of the list are in the store`,
        help: 'push one of them with --platform',
      });
    // The list names the images as they are here; in the registry their layers are compressed, so their digests differ.
    const manifests = index.manifests.flatMap((item): readonly Descriptor[] => {
      const outgoing = replaced.get(item.digest);
      if (outgoing === undefined) return [];
      const { digest, bytes, mediaType: type } = outgoing.manifest;
      return [{ ...item, digest, size: bytes.length, mediaType: type }];
    });
    const isSame =
      others.length === 0 && manifests.every((item, at) => item.digest === index.manifests[at]?.digest);
    const bytes = Buffer.from(isSame ? text : JSON.stringify({ ...(JSON.parse(text) as object), manifests }));
    const top = { mediaType: target.mediaType, digest: digestOf(bytes), bytes };
    return this.#finish(await this.#send(images, top));
  }

  /** The manifest of an image as a registry is to have it. */
  async #prepare(manifestDigest: Digest): Promise<Outgoing> {
    const { manifest, config } = this.#read(manifestDigest);
    const diffIds = config.rootfs.diff_ids;
    if (!isUncompressed(manifest, diffIds)) return this.#asItIs(manifestDigest, manifest, diffIds);
    const original = this.#original(manifest, diffIds);
    if (original !== null) return this.#asItIs(original, this.#read(original).manifest, diffIds);
    const kind = manifest.mediaType === mediaType.dockerManifest ? 'docker' : 'oci';
    const forms = new Map<DiffId, LayerForm>();
    for (const diffId of new Set(diffIds)) forms.set(diffId, await this.#blobs.formOf(diffId));
    const layers = diffIds.map((diffId): Descriptor => {
      const { digest, size, compression } = forms.get(diffId) as LayerForm;
      return { mediaType: layerType(compression, kind), digest, size };
    });
    const document: Manifest = { ...manifest, layers };
    const bytes = Buffer.from(encodeManifest(document));
    const type = manifest.mediaType ?? mediaType.ociManifest;
    return { manifest: { mediaType: type, digest: digestOf(bytes), bytes }, document, diffIds };
  }

  /** A manifest of the same image that came from a registry or went to one, and whose blobs can be had. */
  #original(own: Manifest, diffIds: readonly DiffId[]): Digest | null {
    const { store, options } = this.#inputs;
    // What was added to the manifest here is not in the one from there; and another compression was asked for.
    if (own.annotations !== undefined || options.compression !== undefined) return null;
    const found = store.images.manifestsOf(own.config.digest as ImageRecord['id']).filter((digest) => {
      const { manifest } = this.#read(digest);
      return (
        !isUncompressed(manifest, diffIds) && manifest.layers.every((layer) => store.blobs.has(layer.digest))
      );
    });
    // What every engine reads comes first: zstd was asked for when it was pushed, for that push.
    const isZstd = (digest: Digest) =>
      this.#read(digest).manifest.layers.some((layer) => layer.mediaType.endsWith('zstd'));
    return found.find((digest) => !isZstd(digest)) ?? found[0] ?? null;
  }

  #asItIs(digest: Digest, document: Manifest, diffIds: readonly DiffId[]): Outgoing {
    const bytes = Buffer.from(this.#inputs.store.blobs.readText(digest), 'utf8');
    const type = document.mediaType ?? mediaType.ociManifest;
    return { manifest: { mediaType: type, digest, bytes }, document, diffIds };
  }

  /** Blobs, then the manifests that need them, then what the tag is to name. */
  async #send(images: readonly Outgoing[], top: FetchedManifest): Promise<FetchedManifest> {
    const { repository, named, doing, options } = this.#inputs;
    const { signal } = options;
    const blobs = new Map<Digest, { readonly descriptor: Descriptor; readonly diffId: DiffId | null }>();
    for (const { document, diffIds } of images) {
      for (const [at, descriptor] of document.layers.entries())
        blobs.set(descriptor.digest, { descriptor, diffId: diffIds[at] ?? null });
      blobs.set(document.config.digest, { descriptor: document.config, diffId: null });
    }
    await forEachParallel(
      [...blobs.values()],
      { limit: uploadsAtOnce, signal },
      ({ descriptor, diffId }, own) => this.#blobs.push(descriptor, diffId, own),
    );
    for (const { manifest } of images)
      if (manifest !== top) await repository.putManifest(manifest.digest, manifest, doing, signal);
    await repository.putManifest(named.digest ?? named.tag ?? 'latest', top, doing, signal);
    for (const { manifest } of images) this.#inputs.store.blobs.put(manifest.bytes);
    return top;
  }

  #finish(top: FetchedManifest): PushedImage {
    const { store, named, options } = this.#inputs;
    const digest = store.blobs.put(top.bytes);
    const { tag, ...repository } = named;
    store.images.tag(digest, [{ ...repository, digest }]);
    const size = top.bytes.length;
    options.onEvent?.({ type: 'pushed', tag: tag ?? digest, digest, size });
    return { digest, size, descriptor: { mediaType: top.mediaType, digest, size } };
  }

  #read(digest: Digest): { readonly manifest: Manifest; readonly config: ImageConfig } {
    const { blobs } = this.#inputs.store;
    const manifest = decodeManifest(blobs.readText(digest), `manifest ${digest}`);
    const config = decodeImageConfig(
      blobs.readText(manifest.config.digest),
      `config ${manifest.config.digest}`,
    );
    return { manifest, config };
  }

  #requirePlatform(config: ImageConfig, wanted: Platform): void {
    const { os, architecture, variant } = config;
    const platform = normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
    if (!samePlatform(platform, wanted)) throw this.#lacksPlatform([{ platform }], wanted);
  }

  #lacksPlatform(here: readonly Pick<Descriptor, 'platform'>[], wanted: Platform): CairnError {
    const offered = here.flatMap(({ platform }) =>
      platform ? [formatPlatform(normalizePlatform(platform))] : [],
    );
    return new CairnError('PLATFORM_MISMATCH', {
      message: `${this.#inputs.doing}: the image was found but it has no ${formatPlatform(wanted)}`,
      notes: [{ message: `in the store are ${offered.join(', ')}` }],
    });
  }
}

function isUncompressed(manifest: Manifest, diffIds: readonly DiffId[]): boolean {
  return manifest.layers.every((layer, at) => layer.digest === diffIds[at]);
}
