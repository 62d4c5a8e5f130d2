import type { Descriptor, DiffId, Digest } from '../../oci/index.ts';
import type { CacheDocument } from './cache-document.ts';

/** A manifest as it goes out. */
export interface OutgoingManifest {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** A cache that was read. */
export interface PresentCache {
  /** Of its manifest. */
  readonly digest: Digest;
  readonly document: CacheDocument;
}

/** Where caches are read from. Everything that comes is verified against the digest that names it. */
export interface CacheReader {
  /** For people: `registry.example/app:cache`. */
  readonly name: string;
  /**
   * The caches there: none when nothing has that name.
   * @throws {CairnError} DOCUMENT_INVALID for something else than a cache, and what keeps it from being read
   */
  read(signal: AbortSignal): Promise<readonly PresentCache[]>;
  /** The bytes of a blob of the cache. Verified at the end. */
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The repository (`registry/name`) that holds the blobs; null for a folder. */
  readonly location: string | null;
}

/** Where a cache is written to. */
export interface CacheWriter extends CacheReader {
  /** Puts a layer there in the cheapest way. @returns the blob by which it is known there */
  putLayer(diffId: DiffId, signal: AbortSignal): Promise<Descriptor>;
  putBlob(mediaType: string, bytes: Buffer, signal: AbortSignal): Promise<Descriptor>;
  /** Gives the cache's name a new manifest, whose blobs are all there. */
  putManifest(manifest: OutgoingManifest, signal: AbortSignal): Promise<void>;
}
