import { CairnError, hasCode } from '../../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeImageConfig,
  decodeManifest,
  familiarName,
  familiarRepository,
  type ImageConfig,
  type Manifest,
  normalizePlatform,
  type Platform,
  type Reference,
  samePlatform,
  withDefaultTag,
} from '../../oci/index.ts';
import type { ImageRecord, LayerForm, Store } from '../../store/contracts.ts';
import { downloadBlob, verified } from '../client/download-blob.ts';
import { forEachParallel } from '../client/for-each-parallel.ts';
import type { RepositoryClient } from '../client/repository-client.ts';
import type { Registries } from '../registries.ts';
import type { BlobStatus, TransferEvent } from '../transfer-event.ts';
import { fetchConfig } from './fetch-config.ts';
import { compressionOfLayer, requireImageConfig } from './media-types.ts';
import { type ResolvedImage, resolveImage } from './resolve-image.ts';

export interface PullOptions {
  /** The host's when absent. */
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: TransferEvent) => void;
}

export interface PulledImage {
  readonly record: ImageRecord;
  /** What the name stands for in the registry: a manifest, or an index of several. */
  readonly digest: Digest;
  /** False when the store had exactly this image under this name. */
  readonly isNew: boolean;
  /** The image is the only one of that name, and for another platform than the wanted one. */
  readonly isOtherPlatform: boolean;
}

/** Layers at once, as Docker's engine does. */
const downloadsAtOnce = 3;

/**
 * Pulls an image into the store: the manifest as the registry has it, compressed layers with their very bytes (so that a push gives
 * them on unchanged), and each layer uncompressed. Every byte is verified; on any error the store has no part of the image under a
 * name. The name, and `repository@digest`, point at it on return.
 * @throws {CairnError} REGISTRY_NOT_FOUND, REGISTRY_DENIED, REGISTRY_UNREACHABLE, REGISTRY_FAILED, REGISTRY_RESPONSE_INVALID,
 *   DIGEST_MISMATCH, PLATFORM_MISMATCH, MEDIA_TYPE_UNSUPPORTED, LAYER_FOREIGN, DOCUMENT_INVALID, STORE_FULL
 */
export async function pullImage(
  registries: Registries,
  store: Store,
  reference: Reference,
  options: PullOptions = {},
): Promise<PulledImage> {
  const named = withDefaultTag(reference);
  const doing = `cannot pull ${familiarName(named)}`;
  const { signal } = options;
  const sources = await registries.sources(named);
  const resolved = await resolveImage(sources, named, {
    doing,
    platform: options.platform ?? null,
    ...(signal && { signal }),
  });
  return new Pull({ store, named, doing, resolved, options }).run();
}

interface PullInputs {
  readonly store: Store;
  readonly named: Reference;
  readonly doing: string;
  readonly resolved: ResolvedImage;
  readonly options: PullOptions;
}

/** A layer of the image that is pulled. */
interface PulledLayer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  readonly compression: LayerForm['compression'];
}

class Pull {
  readonly #inputs: PullInputs;
  #isSilent = false;

  constructor(inputs: PullInputs) {
    this.#inputs = inputs;
  }

  async run(): Promise<PulledImage> {
    const { store, named, doing, resolved, options } = this.#inputs;
    const { top, manifest: fetched, sources } = resolved;
    options.onEvent?.({ type: 'resolved', digest: top.digest });
    const manifest = decodeManifest(fetched.bytes.toString('utf8'), `manifest ${fetched.digest}`);
    requireImageConfig(manifest.config, doing);
    const configBytes = await this.#config(manifest.config);
    const config = decodeImageConfig(configBytes.toString('utf8'), `config ${manifest.config.digest}`);
    const layers = this.#layers(manifest, config);
    const isHere = ({ diffId, descriptor }: PulledLayer) => this.#has(diffId) && this.#has(descriptor.digest);
    // As Docker's engine: of an image that is here already nothing more is said.
    if (this.#has(manifest.config.digest) && layers.every(isHere)) this.#isSilent = true;
    await forEachParallel(layers, { limit: downloadsAtOnce, signal: options.signal }, (layer, signal) =>
      this.#pullLayer(layer, sources, signal),
    );
    const kept = this.#keep({ named, store, configBytes, isIndex: top !== fetched });
    return { ...kept, isOtherPlatform: this.#isOtherPlatform(config) };
  }

  async #config(descriptor: Descriptor): Promise<Buffer> {
    const { store, doing, resolved, options } = this.#inputs;
    if (store.blobs.has(descriptor.digest))
      return Buffer.from(store.blobs.readText(descriptor.digest), 'utf8');
    const { signal } = options;
    return fetchConfig(resolved.sources, descriptor, { doing, ...(signal && { signal }) });
  }

  /** A list is searched for the platform; a single image is taken as it is, which the caller may warn of. */
  #isOtherPlatform(config: ImageConfig): boolean {
    const wanted = this.#inputs.options.platform;
    const { os, architecture, variant } = config;
    const platform = normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
    if (wanted === undefined || samePlatform(platform, wanted)) return false;
    // A list may promise a variant that the config does not repeat.
    return wanted.os !== platform.os || wanted.architecture !== platform.architecture;
  }

  #layers(manifest: Manifest, config: ImageConfig): readonly PulledLayer[] {
    const { doing } = this.#inputs;
    const diffIds = config.rootfs.diff_ids;
    if (diffIds.length !== manifest.layers.length)
      throw new CairnError('DOCUMENT_INVALID', {
        message: `${doing}: its manifest has ${manifest.layers.length} layers, its config ${diffIds.length}`,
      });
    const layers = manifest.layers.map(
      (descriptor, at): PulledLayer => ({
        descriptor,
        diffId: diffIds[at] as DiffId,
        compression: compressionOfLayer(descriptor, doing),
      }),
    );
    // A layer that occurs twice is pulled once.
    return [
      ...new Map(layers.map((layer) => [`${layer.descriptor.digest} ${layer.diffId}`, layer])).values(),
    ];
  }

  async #pullLayer(
    layer: PulledLayer,
    sources: readonly RepositoryClient[],
    signal: AbortSignal,
  ): Promise<void> {
    const { store } = this.#inputs;
    const { descriptor, diffId, compression } = layer;
    const { digest, size } = descriptor;
    const hasLayer = this.#has(diffId);
    if (hasLayer && this.#has(digest)) this.#say(layer, 'exists');
    else if (this.#has(digest)) {
      this.#say(layer, 'unpacking');
      await store.layers.adoptCompressed(store.blobs.read(digest), diffId);
      this.#say(layer, 'complete', size);
    } else {
      this.#say(layer, 'waiting');
      await this.#download(layer, { sources, signal, hasLayer });
      this.#say(layer, 'complete', size);
    }
    const locations = sources.slice(0, 1).map(({ location }) => location);
    store.forms.add(diffId, { digest, size, compression, sources: locations });
  }

  /** From one source after the other: a mirror may have the blob, and have it damaged. */
  async #download(
    layer: PulledLayer,
    {
      sources,
      signal,
      hasLayer,
    }: {
      readonly sources: readonly RepositoryClient[];
      readonly signal: AbortSignal;
      readonly hasLayer: boolean;
    },
  ): Promise<void> {
    const { store, doing } = this.#inputs;
    const { descriptor, diffId, compression } = layer;
    for (const at of sources.keys()) {
      const rest = sources.slice(at);
      const download = counted(downloadBlob(rest, descriptor, { doing, signal }), (bytes) =>
        this.#say(layer, 'downloading', bytes),
      );
      try {
        if (compression === 'none') await store.layers.adopt(verified(download, descriptor, doing), diffId);
        else await this.#store(download, layer, hasLayer);
        return;
      } catch (error) {
        if (rest.length === 1 || !isDamage(error)) throw error;
      } finally {
        await download.return(undefined);
      }
    }
  }

  #has(blob: Digest): boolean {
    const { store } = this.#inputs;
    return store.blobs.has(blob) && store.lease(blob);
  }

  #say({ descriptor }: PulledLayer, status: BlobStatus, current = 0): void {
    if (this.#isSilent) return;
    const { digest, size } = descriptor;
    this.#inputs.options.onEvent?.({ type: 'blob', digest, status, current, total: size });
  }

  /** Keeps the bytes as they come, and unpacks them on the way when that is needed. */
  async #store(
    download: AsyncGenerator<Uint8Array>,
    { descriptor, diffId }: PulledLayer,
    hasLayer: boolean,
  ): Promise<void> {
    const { store, doing } = this.#inputs;
    const writer = store.blobs.create();
    const bytes = verified(download, descriptor, doing);
    const rest = async () => {
      for await (const chunk of bytes) writer.write(chunk);
    };
    try {
      if (!hasLayer) {
        // What unpacks may stop before the end (at an error, or bytes after a gzip member): the download goes on regardless, and
        // damage on the way is told from damage in the registry.
        try {
          await store.layers.adoptCompressed(
            unclosed(bytes, (chunk) => writer.write(chunk)),
            diffId,
          );
        } catch (error) {
          if (isDamage(error)) await rest();
          throw hasCode(error, 'DIGEST_MISMATCH') ? notTheLayer(descriptor, diffId, doing, error) : error;
        }
      }
      await rest();
      writer.commit(descriptor.digest);
    } finally {
      writer.abort();
    }
  }

  #keep({
    named,
    store,
    configBytes,
    isIndex,
  }: {
    readonly named: Reference;
    readonly store: Store;
    readonly configBytes: Buffer;
    readonly isIndex: boolean;
  }): Omit<PulledImage, 'isOtherPlatform'> {
    const { top, manifest } = this.#inputs.resolved;
    const before = store.images.target(named)?.digest;
    const record = store.images.putEncoded(configBytes);
    store.blobs.put(manifest.bytes);
    if (isIndex) store.blobs.put(top.bytes);
    const { tag: _, ...repository } = named;
    if (named.digest === undefined) store.images.tag(record.manifestDigest, [named]);
    else store.images.keepUntagged(record.manifestDigest);
    const byDigest = { ...repository, digest: top.digest };
    const wasKnown = store.images.target(byDigest) !== null;
    store.images.tag(top.digest, [byDigest]);
    return {
      record: store.images.get(record.id),
      digest: top.digest,
      isNew: named.digest === undefined ? before !== record.manifestDigest || !wasKnown : !wasKnown,
    };
  }
}

function isDamage(error: unknown): error is CairnError {
  return hasCode(error, 'DIGEST_MISMATCH') || hasCode(error, 'ARCHIVE_INVALID');
}

/** The blob is what the manifest names, but the manifest and the config contradict each other. */
function notTheLayer({ digest }: Descriptor, diffId: DiffId, doing: string, cause: CairnError): CairnError {
  if (cause.message.startsWith(doing)) return cause;
  return new CairnError('DIGEST_MISMATCH', {
    message: `${doing}: layer ${digest} does not hold ${diffId}, as its config says`,
    notes: [{ message: cause.message }],
    help: 'the image is broken in the registry; nothing was stored',
    cause,
  });
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  tell: (count: number) => void,
): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const chunk of bytes) {
    count += chunk.length;
    tell(count);
    yield chunk;
  }
}

/** Hands chunks on and shows them to `see`; who stops reading early leaves the source as it is. */
async function* unclosed(
  source: AsyncGenerator<Uint8Array>,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await source.next();
    if (done) return;
    see(value);
    yield value;
  }
}

/** `library/debian` as Docker shows it in progress. */
export function shownRepository(reference: Reference): string {
  return reference.registry === 'docker.io'
    ? reference.repository
    : familiarRepository(reference).replace(`${reference.registry}/`, '');
}
