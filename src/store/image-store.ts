import { CairnError } from '../errors/index.ts';
import {
  type Descriptor,
  type Digest,
  decodeImageConfig,
  encodeImageConfig,
  encodeIndex,
  encodeManifest,
  familiarName,
  type ImageConfig,
  type ImageId,
  mediaType,
  normalizePlatform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.ts';
import { syncFolder } from '../sys/index.ts';
import type { FileBlobStore } from './blob-store.ts';
import type {
  Artifact,
  FindImageOptions,
  ImageRecord,
  ImageStore,
  IndexMember,
  ManifestOptions,
} from './contracts.ts';
import {
  type ImageDocumentReader,
  type ImageDocuments,
  isIndexType,
  isManifestType,
} from './image-document.ts';
import { isNamedBy, repoDigestOf, tagOf, withNames, withoutName } from './index-entry.ts';
import type { IndexFile } from './index-file.ts';
import { attach, referrers } from './referrers.ts';
import type { StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

/** What the image store is made of. */
export interface ImageStoreParts {
  readonly paths: StorePaths;
  readonly session: WorkSession;
  readonly blobs: FileBlobStore;
  readonly index: IndexFile;
  readonly documents: ImageDocumentReader;
}

/** Images by the names in index.json. Promises: see `ImageStore`. */
export class FileImageStore implements ImageStore {
  readonly #parts: ImageStoreParts;

  constructor(parts: ImageStoreParts) {
    this.#parts = parts;
  }

  /** Entries whose documents are missing or broken are left out; `fsck` reports them. */
  list(): readonly ImageRecord[] {
    const groups = new Map<ImageId, Found[]>();
    for (const entry of this.#parts.index.read()) {
      const image = this.#readable(entry);
      if (image === null) continue;
      const group = groups.get(image.id);
      if (group === undefined) groups.set(image.id, [{ image, entry }]);
      else group.push({ image, entry });
    }
    return [...groups.values()].map(toRecord);
  }

  find(nameOrId: string, options: FindImageOptions = {}): ImageRecord | null {
    const byName = this.#findByName(nameOrId, options);
    return byName ?? this.#findById(nameOrId);
  }

  get(nameOrId: string, options: FindImageOptions = {}): ImageRecord {
    const record = this.find(nameOrId, options);
    if (record !== null) return record;
    throw new CairnError('IMAGE_NOT_FOUND', {
      message: `No such image: ${shownName(nameOrId)}`,
      help: '"cairn images" lists what is in the store',
    });
  }

  put(config: ImageConfig, options: ManifestOptions = {}): ImageRecord {
    return this.putEncoded(encodeImageConfig(config), options);
  }

  putIndex(members: readonly IndexMember[], options: ManifestOptions = {}): Digest {
    const { blobs, documents, session } = this.#parts;
    const isDocker = options.mediaTypes === 'docker';
    const manifests = members.map(({ manifestDigest, platform, annotations }): Descriptor => {
      const type = documents.image(manifestDigest)?.manifest.mediaType;
      return {
        mediaType: type ?? mediaType.ociManifest,
        digest: manifestDigest,
        size: blobs.size(manifestDigest),
        platform,
        ...(annotations && { annotations }),
      };
    });
    const digest = blobs.put(
      encodeIndex({
        schemaVersion: 2,
        mediaType: isDocker ? mediaType.dockerIndex : mediaType.ociIndex,
        manifests,
        ...(options.annotations && { annotations: options.annotations }),
      }),
    );
    session.lease(documents.closure(digest));
    return digest;
  }

  /**
   * As `put` for a config that someone else has written: its bytes, and so the image ID, are kept.
   * @throws {CairnError} DOCUMENT_INVALID, BLOB_NOT_FOUND
   */
  putEncoded(configJson: string | Uint8Array, options: ManifestOptions = {}): ImageRecord {
    const { blobs } = this.#parts;
    const types = options.mediaTypes === 'docker' ? dockerTypes : ociTypes;
    const text = typeof configJson === 'string' ? configJson : Buffer.from(configJson).toString('utf8');
    const config = decodeImageConfig(text, 'image config');
    const layers = config.rootfs.diff_ids.map((diffId) => ({
      mediaType: types.layer,
      digest: diffId as Digest,
      size: blobs.size(diffId),
    }));
    const id = blobs.put(configJson);
    const manifestDigest = blobs.put(
      encodeManifest({
        schemaVersion: 2,
        mediaType: types.manifest,
        config: { mediaType: types.config, digest: id, size: blobs.size(id) },
        layers,
        ...(options.annotations && { annotations: options.annotations }),
      }),
    );
    this.#parts.session.lease([manifestDigest, id, ...config.rootfs.diff_ids]);
    const image = this.#parts.documents.image(manifestDigest);
    if (image === null) throw new Error('a manifest just written is not an image');
    return this.#recordOf(image);
  }

  target(reference: Reference): Descriptor | null {
    const named = withDefaultTag(reference);
    const entry = this.#parts.index.read().find((item) => isNamedBy(item, named));
    if (entry === undefined) return null;
    const { annotations: _, ...target } = entry;
    return target;
  }

  manifestsOf(id: ImageId): readonly Digest[] {
    const { index, documents } = this.#parts;
    const found = index.read().flatMap((entry): readonly Digest[] => {
      if (!isIndexType(entry.mediaType)) return this.idOf(entry) === id ? [entry.digest] : [];
      if (!this.#parts.blobs.has(entry.digest)) return [];
      return documents.members(entry.digest).flatMap((item) => (this.idOf(item) === id ? [item.digest] : []));
    });
    return [...new Set(found)];
  }

  /** A reference with a digest is recorded as `name@digest`, beside the tags. */
  tag(manifestDigest: Digest, references: readonly Reference[]): void {
    if (references.length > 0) this.#name(manifestDigest, references.map(withDefaultTag));
  }

  keepUntagged(manifestDigest: Digest): void {
    this.#name(manifestDigest, []);
  }

  untag(reference: Reference, options: { readonly keepUntagged?: boolean } = {}): boolean {
    const named = withDefaultTag(reference);
    if (!this.#parts.index.read().some((entry) => isNamedBy(entry, named))) return false;
    let existed = false;
    this.#parts.index.update((entries) => {
      existed = entries.some((entry) => isNamedBy(entry, named));
      return existed ? withoutName(entries, named, options.keepUntagged ?? false) : entries;
    });
    return existed;
  }

  remove(id: ImageId): void {
    this.#parts.index.update((entries) => {
      const kept = entries.filter((entry) => this.idOf(entry) !== id);
      return kept.length === entries.length ? entries : kept;
    });
  }

  attach(subject: Digest, artifact: Artifact): Digest {
    const { annotations: _, platform: __, ...descriptor } = this.#describe(subject);
    return attach(this.#parts, descriptor, artifact);
  }

  referrers(subject: Digest, artifactType?: string): readonly Descriptor[] {
    return referrers(this.#parts, subject, artifactType);
  }

  /** The image that an entry of the index stands for, or null when that cannot be read. */
  idOf(entry: Descriptor): ImageId | null {
    return this.#readable(entry)?.id ?? null;
  }

  #name(manifestDigest: Digest, references: readonly Reference[]): void {
    const { index, session, documents, paths } = this.#parts;
    const target = this.#describe(manifestDigest);
    const named = (entries: readonly Descriptor[]) => {
      const present = entries.filter((entry) => entry.digest === manifestDigest);
      if (references.length === 0) return present.length > 0;
      return references.every((reference) => present.some((entry) => isNamedBy(entry, reference)));
    };
    // Repeating a build changes nothing and so takes no lock.
    if (named(index.read())) return;
    // Where an image is in a registry may be known of one whose compressed layers are not here.
    const isRecord = references.length > 0 && references.every(({ digest }) => digest !== undefined);
    const closure = documents
      .closure(manifestDigest)
      .filter((digest) => !isRecord || this.#parts.blobs.has(digest));
    session.open();
    // Blobs that another process renamed a moment ago are as durable as the name that now comes to need them.
    syncFolder(paths.blobs);
    index.update((entries) => {
      if (!session.leaseLocked(closure)) throw incomplete(manifestDigest);
      return named(entries) ? entries : withNames(entries, target, references);
    });
  }

  #describe(manifestDigest: Digest): Descriptor {
    const { blobs, documents } = this.#parts;
    const known = this.#parts.index.read().find((entry) => entry.digest === manifestDigest);
    if (known !== undefined) return known;
    const size = blobs.size(manifestDigest);
    if (documents.isIndex(manifestDigest)) {
      const { mediaType: type } = JSON.parse(blobs.readText(manifestDigest)) as Partial<Descriptor>;
      const isKnown = type !== undefined && isIndexType(type);
      return { mediaType: isKnown ? type : mediaType.ociIndex, digest: manifestDigest, size };
    }
    const image = documents.image(manifestDigest);
    const type = image?.manifest.mediaType ?? mediaType.ociManifest;
    return {
      mediaType: isManifestType(type) ? type : mediaType.ociManifest,
      digest: manifestDigest,
      size,
      ...(image === null ? {} : { platform: platformOf(image.config) }),
    };
  }

  #findByName(name: string, { platform }: FindImageOptions): ImageRecord | null {
    const reference = tryParse(name);
    if (reference === null) return null;
    const entry = this.#parts.index.read().find((item) => isFoundBy(item, reference));
    if (entry === undefined) return null;
    const image = this.#parts.documents.read(entry, platform);
    if (image === null) return null;
    const record = this.#recordOf(image);
    return isIndexType(entry.mediaType) ? throughIndex(record, entry.digest) : record;
  }

  #findById(text: string): ImageRecord | null {
    const prefix = text.startsWith('sha256:') ? text.slice(7) : text;
    if (!/^[0-9a-f]{1,64}$/.test(prefix)) return null;
    const found = this.list().filter((record) => record.id.startsWith(`sha256:${prefix}`));
    if (found.length <= 1) return found[0] ?? null;
    throw new CairnError('REFERENCE_AMBIGUOUS', {
      message: `image ID prefix "${prefix}" is ambiguous: ${found.length} images begin with it`,
      notes: found.slice(0, 10).map((record) => ({ message: record.id })),
      help: 'give more digits of the ID',
    });
  }

  /** The names are looked up when asked for, but as they are now: a build that only wants a base reads no other image. */
  #recordOf(image: ImageDocuments): ImageRecord {
    const entries = this.#parts.index.read();
    const findAll = () =>
      entries.flatMap((entry): readonly Found[] => {
        const found = this.#readable(entry);
        return found?.id === image.id ? [{ image: found, entry }] : [];
      });
    let known: ImageRecord | null = null;
    const named = () => {
      known ??= toRecord([...findAll(), { image, entry: null }]);
      return known;
    };
    if (!isUncompressed(image)) return named();
    const { id, manifestDigest, manifest, config } = image;
    return {
      id,
      manifestDigest,
      manifest,
      config,
      get tags() {
        return named().tags;
      },
      get repoDigests() {
        return named().repoDigests;
      },
    };
  }

  #readable(entry: Descriptor): ImageDocuments | null {
    try {
      return this.#parts.documents.read(entry);
    } catch (error) {
      if (error instanceof CairnError) return null;
      throw error;
    }
  }
}

/** The record, found through a list of platforms; names are still looked up when asked for. */
function throughIndex(record: ImageRecord, indexDigest: Digest): ImageRecord {
  const { id, manifestDigest, manifest, config } = record;
  return {
    id,
    manifestDigest,
    manifest,
    config,
    indexDigest,
    get tags() {
      return record.tags;
    },
    get repoDigests() {
      return record.repoDigests;
    },
  };
}

const ociTypes = {
  manifest: mediaType.ociManifest,
  config: mediaType.ociConfig,
  layer: mediaType.ociLayer,
} as const;

const dockerTypes = {
  manifest: mediaType.dockerManifest,
  config: mediaType.dockerConfig,
  layer: mediaType.dockerLayer,
} as const;

/** An image and an entry of the index that stands for it, if there is one. */
interface Found {
  readonly image: ImageDocuments;
  readonly entry: Descriptor | null;
}

/** Another tool may have added the same image with compressed layers: ours has the layers that everything here reads. */
function toRecord(found: readonly Found[]): ImageRecord {
  const { image } = found.find((one) => isUncompressed(one.image)) ?? (found[0] as Found);
  const entries = found.flatMap(({ entry }) => (entry === null ? [] : [entry]));
  return {
    id: image.id,
    manifestDigest: image.manifestDigest,
    manifest: image.manifest,
    config: image.config,
    tags: distinct(entries.map(tagOf)),
    repoDigests: distinct(entries.map(repoDigestOf)).map((name) => familiarName(parseReference(name))),
  };
}

function isUncompressed({ manifest, config }: ImageDocuments): boolean {
  return manifest.layers.every((layer, at) => layer.digest === config.rootfs.diff_ids[at]);
}

function distinct(names: readonly (string | null)[]): readonly string[] {
  return [...new Set(names.filter((name) => name !== null))].sort();
}

/** `name@digest` also finds an image of that manifest digest which has a tag in that repository. */
function isFoundBy(entry: Descriptor, reference: Reference): boolean {
  if (isNamedBy(entry, reference)) return true;
  if (reference.digest !== entry.digest) return false;
  const tag = tryParse(tagOf(entry) ?? '');
  return tag !== null && tag.registry === reference.registry && tag.repository === reference.repository;
}

function tryParse(name: string): Reference | null {
  try {
    return withDefaultTag(parseReference(name));
  } catch (error) {
    if (error instanceof CairnError) return null;
    throw error;
  }
}

function shownName(nameOrId: string): string {
  const reference = tryParse(nameOrId);
  return reference === null ? nameOrId : familiarName(reference);
}

function platformOf(config: ImageConfig) {
  const { os, architecture, variant } = config;
  return normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) });
}

function incomplete(manifestDigest: Digest): CairnError {
  return new CairnError('BLOB_NOT_FOUND', {
    message: `the image with manifest ${manifestDigest} lacks blobs: it was removed by another process`,
    help: 'run the command again',
  });
}
