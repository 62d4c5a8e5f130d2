import { createReadStream, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeImageConfig,
  decodeIndex,
  decodeManifest,
  digestOf,
  formatPlatform,
  hexOf,
  type Platform,
  samePlatform,
} from '../oci/index.ts';
import { decompress, type ImageRecord, type Store } from '../store/index.ts';
import type { LayoutSource } from './named-sources.ts';

const refNameKey = 'org.opencontainers.image.ref.name';
const maxDocumentBytes = 32 << 20;

/**
 * Brings an image of an OCI layout on the host into the store: the one of that tag or digest, else the only one. Documents and layers
 * are verified; layers that the store has are not read.
 * @throws {CairnError} NAMED_CONTEXT_INVALID, DIGEST_MISMATCH, DOCUMENT_INVALID, ARCHIVE_INVALID
 */
export async function openImageLayout(
  store: Store,
  source: LayoutSource,
  platform: Platform,
): Promise<ImageRecord> {
  const layout = new ImageLayout(source);
  const manifest = decodeManifest(layout.document(layout.manifestFor(platform)), 'manifest');
  const config = decodeImageConfig(layout.document(manifest.config), 'config');
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== manifest.layers.length)
    throw invalid(source, 'has a manifest and a config that differ in the number of layers');
  for (const [i, layer] of manifest.layers.entries()) {
    const diffId = diffIds[i] as DiffId;
    if (store.blobs.has(diffId) && store.lease(diffId)) continue;
    await store.layers.adopt(decompress(createReadStream(layout.blobPath(layer.digest))), diffId);
  }
  return store.images.put(config);
}

class ImageLayout {
  readonly #source: LayoutSource;

  constructor(source: LayoutSource) {
    this.#source = source;
  }

  blobPath(digest: Digest): string {
    return join(this.#source.path, 'blobs', 'sha256', hexOf(digest));
  }

  /** A document, verified. */
  document({ digest }: Pick<Descriptor, 'digest'>): string {
    const bytes = this.#read(this.blobPath(digest));
    const found = digestOf(bytes);
    if (found === digest) return bytes.toString('utf8');
    throw new CairnError('DIGEST_MISMATCH', {
      message: `a document of the image layout ${this.#source.path} is damaged`,
      notes: [{ message: `wanted ${digest}` }, { message: `found ${found}` }],
    });
  }

  /** Goes down indexes to a manifest for the platform. */
  manifestFor(platform: Platform): Pick<Descriptor, 'digest'> {
    const top = decodeIndex(this.#read(join(this.#source.path, 'index.json')).toString('utf8'), 'index.json');
    return this.#descend(this.#pick(top.manifests), platform, 0);
  }

  #pick(manifests: readonly Descriptor[]): Pick<Descriptor, 'digest'> & Partial<Descriptor> {
    const { tag, digest } = this.#source;
    if (digest !== undefined) return manifests.find((each) => each.digest === digest) ?? { digest };
    const wanted = tag ?? 'latest';
    const named = manifests.find((each) => {
      const name = each.annotations?.[refNameKey];
      return name === wanted || name?.endsWith(`:${wanted}`);
    });
    if (named) return named;
    const [only] = manifests;
    if (only && manifests.length === 1) return only;
    throw invalid(this.#source, `has no image "${wanted}"`);
  }

  #descend(
    descriptor: Pick<Descriptor, 'digest'> & Partial<Descriptor>,
    platform: Platform,
    depth: number,
  ): Pick<Descriptor, 'digest'> {
    const text = this.document(descriptor);
    const isIndex = Array.isArray((JSON.parse(text) as { readonly manifests?: unknown }).manifests);
    if (!isIndex) return descriptor;
    const { manifests } = decodeIndex(text, 'index');
    const fitting = manifests.find(
      (each) => each.platform !== undefined && samePlatform(each.platform, platform),
    );
    if (fitting === undefined || depth > 3)
      throw invalid(this.#source, `has no image for ${formatPlatform(platform)}`);
    return this.#descend(fitting, platform, depth + 1);
  }

  #read(path: string): Buffer {
    try {
      const bytes = readFileSync(path);
      if (bytes.length <= maxDocumentBytes) return bytes;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'error';
      throw invalid(this.#source, `cannot be read: ${code} for "${path}"`, error);
    }
    throw invalid(this.#source, `has a document that is too large: "${path}"`);
  }
}

function invalid({ path }: LayoutSource, reason: string, cause?: unknown): CairnError {
  return new CairnError('NAMED_CONTEXT_INVALID', {
    message: `the image layout "${path}" ${reason}`,
    help: 'give oci-layout://PATH[:TAG][@DIGEST]; PATH is a folder with index.json and blobs',
    ...(cause === undefined ? {} : { cause }),
  });
}
