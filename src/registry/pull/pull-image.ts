import { CairnError } from '../../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeImageConfig,
  decodeManifest,
  familiarName,
  familiarRepository,
  formatPlatform,
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
import type { TransferEvent } from '../transfer-event.ts';
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
}

/** Layers at once, as Docker's engine does. */
const downloadsAtOnce = 3;
const maxConfigBytes = 8 << 20;

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
    this.#checkPlatform(config);
    const layers = this.#layers(manifest, config);
    await forEachParallel(layers, { limit: downloadsAtOnce, signal: options.signal }, (layer, signal) =>
      this.#pullLayer(layer, sources, signal),
    );
    return this.#keep({ named, store, configBytes, isIndex: top !== fetched });
  }

  async #config(descriptor: Descriptor): Promise<Buffer> {
    const { store, doing, resolved, options } = this.#inputs;
    if (descriptor.size > maxConfigBytes)
      throw new CairnError('DOCUMENT_INVALID', {
        message: `${doing}: its config is said to have ${descriptor.size} bytes, more than the ${maxConfigBytes} that one may have`,
      });
    if (store.blobs.has(descriptor.digest)) return Buffer.from(store.blobs.readText(descriptor.digest), 'utf8');
    const download = downloadBlob(resolved.sources, descriptor, { doing, ...(options.signal && { signal: options.signal }) });
    const chunks: Uint8Array[] = [];
    for await (const chunk of verified(download, descriptor, doing)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  #checkPlatform(config: ImageConfig): void {
    const { doing, options } = this.#inputs;
    const { os, architecture, variant } = config;
    const platform = normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) });
    const wanted = options.platform;
    if (wanted === undefined || samePlatform(platform, wanted)) return;
    // A list may promise a variant that the config does not repeat.
    if (wanted.os === platform.os && wanted.architecture === platform.architecture) return;
    throw new CairnError('PLATFORM_MISMATCH', {
      message: `${doing}: the image was found but its platform (${formatPlatform(platform)}) does not match the specified platform (${formatPlatform(wanted)})`,
    });
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
    return [...new Map(layers.map((layer) => [`${layer.descriptor.digest} ${layer.diffId}`, layer])).values()];
  }

  async #pullLayer(layer: PulledLayer, sources: readonly RepositoryClient[], signal: AbortSignal): Promise<void> {
    const { store, doing, options } = this.#inputs;
    const { descriptor, diffId, compression } = layer;
    const { digest, size } = descriptor;
    const say = (status: Extract<TransferEvent, { type: 'blob' }>['status'], current = 0) =>
      options.onEvent?.({ type: 'blob', digest, status, current, total: size });
    const has = (blob: Digest) => store.blobs.has(blob) && store.lease(blob);
    const hasLayer = has(diffId);
    if (hasLayer && has(digest)) say('exists');
    else if (has(digest)) {
      say('unpacking');
      await store.layers.adoptCompressed(store.blobs.read(digest), diffId);
      say('complete', size);
    } else {
      say('waiting');
      const download = counted(downloadBlob(sources, descriptor, { doing, signal }), (bytes) => say('downloading', bytes));
      if (compression === 'none') await store.layers.adopt(verified(download, descriptor, doing), diffId);
      else await this.#store(download, layer, hasLayer);
      say('complete', size);
    }
    const locations = sources.slice(0, 1).map(({ location }) => location);
    store.forms.add(diffId, { digest, size, compression, sources: locations });
  }

  /** Keeps the bytes as they come, and unpacks them on the way when that is needed. */
  async #store(download: AsyncGenerator<Uint8Array>, { descriptor, diffId }: PulledLayer, hasLayer: boolean): Promise<void> {
    const { store } = this.#inputs;
    const writer = store.blobs.create();
    try {
      if (!hasLayer) {
        // What unpacks may stop before the end (bytes after a gzip member): the download goes on regardless.
        const passing = unclosed(download, (chunk) => writer.write(chunk));
        await store.layers.adoptCompressed(passing, diffId);
      }
      for await (const chunk of download) writer.write(chunk);
      writer.commit(descriptor.digest);
    } finally {
      writer.abort();
      await download.return(undefined);
    }
  }

  #keep({ named, store, configBytes, isIndex }: { readonly named: Reference; readonly store: Store; readonly configBytes: Buffer; readonly isIndex: boolean }): PulledImage {
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

async function* counted(bytes: AsyncIterable<Uint8Array>, tell: (count: number) => void): AsyncGenerator<Uint8Array> {
  let count = 0;
  for await (const chunk of bytes) {
    count += chunk.length;
    tell(count);
    yield chunk;
  }
}

/** Hands chunks on and shows them to `see`; who stops reading early leaves the source as it is. */
async function* unclosed(source: AsyncGenerator<Uint8Array>, see: (chunk: Uint8Array) => void): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await source.next();
    if (done) return;
    see(value);
    yield value;
  }
}

/** `library/debian` as Docker shows it in progress. */
export function shownRepository(reference: Reference): string {
  return reference.registry === 'docker.io' ? reference.repository : familiarRepository(reference).replace(`${reference.registry}/`, '');
}
