import { createHash, randomUUID } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeIndex,
  encodeIndex,
  fromHex,
  hexOf,
  mediaType,
} from '../../oci/index.ts';
import type { LayerCompression, Store } from '../../store/contracts.ts';
import type { CacheReader, CacheWriter, OutgoingManifest, PresentCache } from './cache-place.ts';
import { readCacheDocument } from './read-cache.ts';
import { readSmallBlob } from './small-blob.ts';

const refName = 'org.opencontainers.image.ref.name';
const maxManifestBytes = 4 << 20;
const chunkBytes = 1 << 20;
const layerTypes = { none: mediaType.ociLayer, gzip: mediaType.ociLayerGzip, zstd: mediaType.ociLayerZstd };

/** A cache in an OCI layout on this machine. */
export class LayoutReader implements CacheReader {
  readonly name: string;
  readonly location = null;
  protected readonly path: string;
  protected readonly tag: string;
  readonly #digest: Digest | null;

  constructor({
    path,
    tag,
    digest,
  }: { readonly path: string; readonly tag: string; readonly digest?: Digest }) {
    this.path = path;
    this.tag = tag;
    this.#digest = digest ?? null;
    this.name = path;
  }

  async read(_signal: AbortSignal): Promise<readonly PresentCache[]> {
    const named =
      this.#digest === null ? this.entries().find((entry) => this.isNamed(entry)) : this.#byDigest();
    if (named === undefined) return [];
    const options = { name: this.name, maxBytes: maxManifestBytes };
    const bytes = await readSmallBlob(this.blob(named), named, options);
    const document = await readCacheDocument(bytes.toString('utf8'), this.name, (item) => this.blob(item));
    return [{ digest: named.digest, document }];
  }

  async *blob({ digest, size }: Descriptor): AsyncIterable<Uint8Array> {
    const hash = createHash('sha256');
    let length = 0;
    for await (const chunk of fs.createReadStream(this.blobPath(digest), { highWaterMark: chunkBytes })) {
      hash.update(chunk as Buffer);
      length += (chunk as Buffer).length;
      yield chunk as Buffer;
    }
    if (fromHex(hash.digest('hex')) === digest && length === size) return;
    throw new CairnError('DIGEST_MISMATCH', {
      message: `blob ${digest} of the cache ${this.name} is damaged`,
    });
  }

  protected entries(): readonly Descriptor[] {
    const text = readText(join(this.path, 'index.json'));
    return text === null ? [] : decodeIndex(text, `index.json of ${this.name}`).manifests;
  }

  protected isNamed(entry: Descriptor): boolean {
    return entry.annotations?.[refName] === this.tag;
  }

  protected blobPath(digest: Digest): string {
    return join(this.path, 'blobs', 'sha256', hexOf(digest));
  }

  #byDigest(): Descriptor | undefined {
    const digest = this.#digest as Digest;
    const size = fs.statSync(this.blobPath(digest), { throwIfNoEntry: false })?.size;
    return size === undefined ? undefined : { mediaType: mediaType.ociManifest, digest, size };
  }
}

/** Writes a cache into an OCI layout: blobs first, then index.json, each put in place complete. */
export class LayoutWriter extends LayoutReader implements CacheWriter {
  readonly #store: Store;
  readonly #compression: LayerCompression | 'none';

  constructor(inputs: {
    readonly store: Store;
    readonly path: string;
    readonly tag: string;
    readonly compression: LayerCompression | 'none';
  }) {
    super(inputs);
    this.#store = inputs.store;
    this.#compression = inputs.compression;
  }

  override async read(signal: AbortSignal): Promise<readonly PresentCache[]> {
    try {
      return await super.read(signal);
    } catch (error) {
      // A cache that nobody can read is replaced; a layout that is none is someone else's folder.
      if (isDamaged(error) && this.entries().some((entry) => this.isNamed(entry))) return [];
      throw error;
    }
  }

  async putLayer(diffId: DiffId): Promise<Descriptor> {
    const { layers, blobs } = this.#store;
    const compression = this.#compression;
    const known = this.#store.forms
      .get(diffId)
      .find((form) => form.compression === compression && fs.existsSync(this.blobPath(form.digest)));
    if (known !== undefined)
      return { mediaType: layerTypes[compression], digest: known.digest, size: known.size };
    if (compression === 'none') {
      await layers.fetch([diffId]);
      return this.#write(layerTypes.none, blobs.read(diffId));
    }
    const descriptor = await this.#write(layerTypes[compression], layers.compressed(diffId, compression));
    const { digest, size } = descriptor;
    this.#store.forms.add(diffId, { digest, size, compression, sources: [] });
    return descriptor;
  }

  putBlob(type: string, bytes: Buffer): Promise<Descriptor> {
    return this.#write(type, [bytes]);
  }

  async putManifest({ mediaType: type, bytes }: OutgoingManifest): Promise<void> {
    const written = await this.#write(type, [bytes]);
    const entry = { ...written, annotations: { [refName]: this.tag } };
    this.#replace('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
    const others = this.entries().filter((each) => !this.isNamed(each));
    const index = { schemaVersion: 2 as const, mediaType: mediaType.ociIndex, manifests: [...others, entry] };
    this.#replace('index.json', encodeIndex(index));
  }

  async #write(type: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Descriptor> {
    const folder = join(this.path, 'blobs', 'sha256');
    return this.#guarded(async () => {
      fs.mkdirSync(folder, { recursive: true });
      const temporary = join(folder, `.new-${randomUUID()}`);
      const fd = fs.openSync(temporary, 'wx', 0o644);
      try {
        const hash = createHash('sha256');
        let size = 0;
        for await (const chunk of bytes) {
          hash.update(chunk);
          for (let at = 0; at < chunk.length; ) at += fs.writeSync(fd, chunk, at);
          size += chunk.length;
        }
        fs.fsyncSync(fd);
        const digest = fromHex(hash.digest('hex'));
        fs.renameSync(temporary, this.blobPath(digest));
        return { mediaType: type, digest, size };
      } finally {
        fs.closeSync(fd);
        fs.rmSync(temporary, { force: true });
      }
    });
  }

  #replace(name: string, text: string): void {
    const temporary = join(this.path, `.new-${randomUUID()}`);
    try {
      fs.writeFileSync(temporary, text, { flag: 'wx', flush: true });
      fs.renameSync(temporary, join(this.path, name));
    } finally {
      fs.rmSync(temporary, { force: true });
    }
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CairnError || !(error instanceof Error) || !('syscall' in error)) throw error;
      throw new CairnError('OUTPUT_UNWRITABLE', {
        message: `cannot export the cache to ${this.path}: ${error.message}`,
        help: 'give a folder that can be written (dest=FOLDER)',
        cause: error,
      });
    }
  }
}

function isDamaged(error: unknown): boolean {
  if (error instanceof CairnError)
    return error.code === 'DIGEST_MISMATCH' || error.code === 'DOCUMENT_INVALID';
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function readText(path: string): string | null {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
