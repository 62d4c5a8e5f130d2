import {
  type Descriptor,
  type Digest,
  decodeImageConfig,
  decodeIndex,
  decodeManifest,
  hostPlatform,
  type ImageConfig,
  type ImageId,
  type Manifest,
  mediaType,
  type Platform,
  samePlatform,
} from '../oci/index.ts';
import type { FileBlobStore } from './blob-store.ts';

/** An image's two documents, read back and checked. */
export interface ImageDocuments {
  readonly id: ImageId;
  readonly manifestDigest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

const indexTypes: ReadonlySet<string> = new Set([mediaType.ociIndex, mediaType.dockerIndex]);
const manifestTypes: ReadonlySet<string> = new Set([mediaType.ociManifest, mediaType.dockerManifest]);
const configTypes: ReadonlySet<string> = new Set([mediaType.ociConfig, mediaType.dockerConfig]);

/** True for a descriptor of a list of manifests. */
export function isIndexType(type: string): boolean {
  return indexTypes.has(type);
}

/** True for a descriptor of one manifest. */
export function isManifestType(type: string): boolean {
  return manifestTypes.has(type);
}

/** True for an image's manifest, false for that of an artifact (a build record, a signature). */
export function isImageManifest(manifest: Manifest): boolean {
  return manifest.artifactType === undefined && configTypes.has(manifest.config.mediaType);
}

/** Reads images' documents; each manifest and config is read and verified once in the life of the store object. */
export class ImageDocumentReader {
  readonly #blobs: FileBlobStore;
  readonly #images = new Map<Digest, ImageDocuments | null>();

  constructor(blobs: FileBlobStore) {
    this.#blobs = blobs;
  }

  /**
   * What an entry of the index stands for: its image, or for a list of platforms the image of the wanted one, else of this
   * machine's, else the first that is here.
   * @param wanted - chooses from a list; an entry that is a single image stands for that one whatever is wanted.
   * @returns null for something that is not an image, and for a list without the wanted platform
   * @throws {CairnError} BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID
   */
  read(entry: Descriptor, wanted?: Platform): ImageDocuments | null {
    // A referrer's descriptor says so: no need to open it.
    if (entry.artifactType !== undefined) return null;
    if (!isIndexType(entry.mediaType))
      return isManifestType(entry.mediaType) ? this.image(entry.digest) : null;
    const here = this.members(entry.digest);
    const own = here.find(
      (item) => item.platform !== undefined && samePlatform(item.platform, wanted ?? hostPlatform()),
    );
    const chosen = own ?? (wanted === undefined ? here[0] : undefined);
    return chosen === undefined ? null : this.image(chosen.digest);
  }

  /** The images of a list of platforms that are in the store, without build attestations. */
  members(indexDigest: Digest): readonly Descriptor[] {
    const listed = decodeIndex(this.#blobs.readText(indexDigest), `index ${indexDigest}`).manifests;
    return listed.filter(
      ({ mediaType: type, digest, platform }) =>
        isManifestType(type) && this.#blobs.has(digest) && platform?.os !== 'unknown',
    );
  }

  /** True for a blob that is a list of platforms. */
  isIndex(digest: Digest): boolean {
    const document: unknown = JSON.parse(this.#blobs.readText(digest));
    return typeof document === 'object' && document !== null && 'manifests' in document;
  }

  /** As `read`, for the digest of a manifest. */
  image(manifestDigest: Digest): ImageDocuments | null {
    const known = this.#images.get(manifestDigest);
    if (known !== undefined) return known;
    const manifest = decodeManifest(this.#blobs.readText(manifestDigest), `manifest ${manifestDigest}`);
    const image = isImageManifest(manifest) ? this.#withConfig(manifestDigest, manifest) : null;
    this.#images.set(manifestDigest, image);
    return image;
  }

  #withConfig(manifestDigest: Digest, manifest: Manifest): ImageDocuments {
    const { digest } = manifest.config;
    const config = decodeImageConfig(this.#blobs.readText(digest), `config ${digest}`);
    return { id: digest as ImageId, manifestDigest, manifest, config };
  }

  /** A manifest or list of manifests and all of it that is here: what must be kept to keep the image. */
  closure(manifestDigest: Digest): readonly Digest[] {
    if (this.isIndex(manifestDigest))
      return [
        manifestDigest,
        ...decodeIndex(this.#blobs.readText(manifestDigest), `index ${manifestDigest}`)
          .manifests.filter(({ digest }) => this.#blobs.has(digest))
          .flatMap(({ digest }) => this.closure(digest)),
      ];
    const manifest = decodeManifest(this.#blobs.readText(manifestDigest), `manifest ${manifestDigest}`);
    return [manifestDigest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)];
  }
}
