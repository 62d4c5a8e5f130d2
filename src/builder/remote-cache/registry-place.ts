import { CairnError, hasCode } from '../../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeManifest,
  digestOf,
  familiarName,
  type Reference,
  withDefaultTag,
} from '../../oci/index.ts';
import type { RepositoryClient } from '../../registry/index.ts';
import type { LayerCompression, Store } from '../../store/contracts.ts';
import { cacheType } from './cache-document.ts';
import type { CacheReader, CacheWriter, OutgoingManifest, PresentCache } from './cache-place.ts';
import { isCache, notACache, readCacheDocument } from './read-cache.ts';

/** More referrers of one image than this are not looked at. */
const maxReferrers = 16;

/** A cache that is a tag in a registry, or that lies beside an image as its referrer. */
export class RegistryReader implements CacheReader {
  readonly name: string;
  protected readonly reference: string;
  protected readonly repository: RepositoryClient;

  constructor(repository: RepositoryClient, reference: Reference) {
    const named = withDefaultTag(reference);
    this.name = familiarName(named);
    this.reference = named.digest ?? named.tag ?? 'latest';
    this.repository = repository;
  }

  get location(): string {
    return this.repository.location;
  }

  async read(signal: AbortSignal): Promise<readonly PresentCache[]> {
    const doing = `cannot import the cache ${this.name}`;
    const found = await this.manifest(this.reference, doing, signal);
    if (found === null) return [];
    const { isIndexType } = await import('../../registry/index.ts');
    const isImage =
      isIndexType(found.mediaType) || !isCache(decodeManifest(found.bytes.toString('utf8'), this.name));
    if (!isImage) return [await this.#document(found, signal)];
    return this.besideImage(found.digest, doing, signal);
  }

  async *blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const { downloadBlob, verified } = await import('../../registry/index.ts');
    const doing = `cannot read the cache ${this.name}`;
    yield* verified(downloadBlob([this.repository], descriptor, { doing, signal }), descriptor, doing);
  }

  protected async manifest(reference: string, doing: string, signal: AbortSignal) {
    try {
      return await this.repository.getManifest(reference, doing, signal);
    } catch (error) {
      if (hasCode(error, 'REGISTRY_NOT_FOUND')) return null;
      throw error;
    }
  }

  protected async besideImage(
    image: Digest,
    doing: string,
    signal: AbortSignal,
  ): Promise<readonly PresentCache[]> {
    const { listReferrers } = await import('../../registry/index.ts');
    const all = await listReferrers(this.repository, image, { doing, artifactType: cacheType, signal });
    const found: PresentCache[] = [];
    // The newest is the last that was added.
    for (const { digest } of all.slice(-maxReferrers).reverse()) {
      const manifest = await this.manifest(digest, doing, signal);
      if (manifest !== null) found.push(await this.#document(manifest, signal));
    }
    return found;
  }

  async #document(
    { digest, bytes }: { readonly digest: Digest; readonly bytes: Buffer },
    signal: AbortSignal,
  ): Promise<PresentCache> {
    const open = (descriptor: Descriptor) => this.blob(descriptor, signal);
    return { digest, document: await readCacheDocument(bytes.toString('utf8'), this.name, open) };
  }
}

export interface RegistryWriterInputs {
  readonly store: Store;
  readonly repository: RepositoryClient;
  readonly reference: Reference;
  readonly compression: LayerCompression | 'none';
}

/** Writes a cache to a tag. */
export class RegistryWriter extends RegistryReader implements CacheWriter {
  readonly #inputs: RegistryWriterInputs;

  constructor(inputs: RegistryWriterInputs) {
    super(inputs.repository, inputs.reference);
    this.#inputs = inputs;
  }

  /** @throws {CairnError} CACHE_INVALID for the tag of an image: it would be lost */
  override async read(signal: AbortSignal): Promise<readonly PresentCache[]> {
    const found = await this.manifest(this.reference, this.#doing, signal);
    if (found === null) return [];
    const { isIndexType } = await import('../../registry/index.ts');
    const text = found.bytes.toString('utf8');
    if (isIndexType(found.mediaType)) throw notACache(this.name, found.mediaType);
    const { config } = decodeManifest(text, this.name);
    if (config.mediaType !== cacheType) throw notACache(this.name, config.mediaType);
    try {
      const open = (descriptor: Descriptor) => this.blob(descriptor, signal);
      return [{ digest: found.digest, document: await readCacheDocument(text, this.name, open) }];
    } catch (error) {
      // A cache that nobody can read is replaced.
      if (isDamage(error)) return [];
      throw error;
    }
  }

  async putLayer(diffId: DiffId, signal: AbortSignal): Promise<Descriptor> {
    const { BlobPusher, layerType } = await import('../../registry/index.ts');
    const { store, repository, compression } = this.#inputs;
    const pusher = new BlobPusher({
      store,
      repository,
      doing: this.#doing,
      options: { signal, ...(compression === 'none' ? {} : { compression }) },
    });
    if (compression === 'none') await store.layers.fetch([diffId]);
    const form =
      compression === 'none'
        ? { digest: diffId as Digest, size: store.blobs.size(diffId), compression }
        : await pusher.formOf(diffId);
    const { digest, size } = form;
    const descriptor = { mediaType: layerType(form.compression, 'oci'), digest, size };
    await pusher.push(descriptor, diffId, signal);
    return descriptor;
  }

  async putBlob(mediaType: string, bytes: Buffer, signal: AbortSignal): Promise<Descriptor> {
    const { uploadBlob } = await import('../../registry/index.ts');
    const { repository } = this.#inputs;
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    if ((await repository.blobSize(descriptor.digest, this.#doing, signal)) !== null) return descriptor;
    const upload = await repository.startUpload(null, this.#doing, signal);
    const open = async function* (offset: number) {
      yield bytes.subarray(offset);
    };
    if (upload !== null)
      await uploadBlob(repository, descriptor, open, upload, { doing: this.#doing, signal });
    return descriptor;
  }

  async putManifest(manifest: OutgoingManifest, signal: AbortSignal): Promise<void> {
    await this.#inputs.repository.putManifest(this.reference, manifest, this.#doing, signal);
  }

  get #doing(): string {
    return `cannot export the cache to ${this.name}`;
  }
}

function isDamage(error: unknown): boolean {
  return (
    error instanceof CairnError &&
    ['DOCUMENT_INVALID', 'DIGEST_MISMATCH', 'REGISTRY_NOT_FOUND'].includes(error.code)
  );
}
