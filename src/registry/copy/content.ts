import type { Descriptor, Digest } from '../../oci/index.ts';
import { downloadBlob } from '../client/download-blob.ts';
import type { FetchedManifest, RepositoryClient } from '../client/repository-client.ts';
import { uploadBlob } from '../client/upload-blob.ts';

/** Where an image, or any other artifact, is copied from. */
export interface ContentSource {
  /** What the name stands for. */
  top(): Promise<FetchedManifest>;
  /** A manifest of an index, verified. */
  manifest(digest: Digest): Promise<FetchedManifest>;
  /** A blob's bytes; who takes them verifies. */
  blob(descriptor: Descriptor): AsyncIterable<Uint8Array>;
}

/** Where it is copied to. */
export interface ContentSink {
  hasBlob(descriptor: Descriptor): Promise<boolean>;
  /** @param open - the bytes, verified at their end; may be called again */
  putBlob(descriptor: Descriptor, open: () => AsyncIterable<Uint8Array>): Promise<void>;
  /** @param isTop - it is what the name is to stand for; everything that it needs is there */
  putManifest(manifest: FetchedManifest, isTop: boolean): Promise<void>;
}

export interface RepositoryPlace {
  /** Where to look, in order; the first one for writing. */
  readonly repositories: readonly RepositoryClient[];
  /** Tag or digest. */
  readonly name: string;
  /** Begins error messages. */
  readonly doing: string;
  readonly signal?: AbortSignal;
}

/** A name in a registry to copy from. */
export function registrySource({ repositories, name, doing, signal }: RepositoryPlace): ContentSource {
  const fetch = async (reference: string) => {
    for (const [at, repository] of repositories.entries()) {
      try {
        return await repository.getManifest(reference, doing, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (at === repositories.length - 1) throw error;
      }
    }
    throw new Error('there is nowhere to copy from');
  };
  return {
    top: () => fetch(name),
    manifest: fetch,
    blob: (descriptor) => downloadBlob(repositories, descriptor, { doing, ...(signal && { signal }) }),
  };
}

/** A name in a registry to copy to. */
export function registrySink({ repositories, name, doing, signal }: RepositoryPlace): ContentSink {
  const repository = repositories[0] as RepositoryClient;
  const options = { doing, ...(signal && { signal }) };
  return {
    hasBlob: async ({ digest }) => (await repository.blobSize(digest, doing, signal)) !== null,
    async putBlob(descriptor, open) {
      const upload = await repository.startUpload(null, doing, signal);
      if (upload === null) return;
      // One request: bytes that come from elsewhere are not asked for again for each chunk.
      const chunkBytes = Math.max(descriptor.size, 1);
      await uploadBlob(repository, descriptor, (offset) => skip(open(), offset), upload, {
        ...options,
        chunkBytes,
      });
    },
    async putManifest(manifest, isTop) {
      await repository.putManifest(isTop ? name : manifest.digest, manifest, doing, signal);
    },
  };
}

async function* skip(bytes: AsyncIterable<Uint8Array>, count: number): AsyncGenerator<Uint8Array> {
  let left = count;
  for await (const chunk of bytes) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(left - chunk.length, 0);
  }
}
