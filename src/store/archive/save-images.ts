import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CairnError, hasCode } from '../../errors/index.ts';
import {
  type Descriptor,
  type Digest,
  familiarRepository,
  hexOf,
  type ImageConfig,
  mediaType,
  normalizePlatform,
  parseReference,
} from '../../oci/index.ts';
import type { BlobStore, FindImageOptions, ImageRecord } from '../contracts.ts';
import { nameEntry } from '../index-entry.ts';
import type { LocalStore } from '../open-store.ts';
import { type ArchiveEntry, textEntry, writeArchive } from './archive-writer.ts';
import { layoutEntries } from './layout-archive.ts';

export interface SaveOptions {
  readonly signal?: AbortSignal;
}

/**
 * What `docker save NAME…` means: a name with a tag or digest is that one name, a bare repository is all of its tags
 * (or `latest` alone if it has no other), an ID is the image without names. An image that is named twice comes once.
 * Of a list of platforms it is the wanted one's, else this machine's.
 * @throws {CairnError} IMAGE_NOT_FOUND, REFERENCE_AMBIGUOUS
 */
export function selectImages(
  store: LocalStore,
  names: readonly string[],
  options: FindImageOptions = {},
): readonly ImageRecord[] {
  const selected = new Map<Digest, ImageRecord>();
  for (const { record, tags } of names.flatMap((name) => imagesNamed(store, name, options))) {
    const before = selected.get(record.id)?.tags ?? [];
    selected.set(record.id, { ...record, tags: [...before, ...tags.filter((tag) => !before.includes(tag))] });
  }
  return [...selected.values()];
}

interface Selection {
  readonly record: ImageRecord;
  readonly tags: readonly string[];
}

function imagesNamed(store: LocalStore, name: string, options: FindImageOptions): readonly Selection[] {
  const whole = isBareRepository(name) ? tagsOfRepository(store, name, options) : [];
  if (whole.length > 0) return whole;
  const record = store.images.find(name, options) ?? store.images.get(name);
  const tag = familiarTag(name);
  // A list of platforms has its names from the image that it stands for by default.
  const isName = tag !== null && (store.images.find(name)?.tags.includes(tag) ?? false);
  return [{ record, tags: isName ? [tag] : [] }];
}

function isBareRepository(name: string): boolean {
  try {
    const { tag, digest } = parseReference(name);
    return tag === undefined && digest === undefined;
  } catch (error) {
    if (hasCode(error, 'REFERENCE_INVALID')) return false;
    throw error;
  }
}

function familiarTag(name: string): string | null {
  try {
    const { tag = 'latest', digest, ...rest } = parseReference(name);
    return digest === undefined ? `${familiarRepository(rest)}:${tag}` : null;
  } catch (error) {
    if (hasCode(error, 'REFERENCE_INVALID')) return null;
    throw error;
  }
}

/** Of one image all of its tags there, in the order of the images' first ones. */
function tagsOfRepository(store: LocalStore, name: string, options: FindImageOptions): readonly Selection[] {
  const repository = familiarRepository(parseReference(name));
  const selections = new Map<Digest, { record: ImageRecord; tags: string[] }>();
  const tags = store.images
    .list()
    .flatMap((record) => record.tags)
    .filter((tag) => familiarRepository(parseReference(tag)) === repository);
  for (const tag of [...new Set(tags)].sort()) {
    const record = store.images.find(tag, options) ?? store.images.get(tag);
    const known = selections.get(record.id);
    if (known) known.tags.push(tag);
    else selections.set(record.id, { record, tags: [tag] });
  }
  return [...selections.values()];
}

/**
 * Writes images as one tar that is at once an OCI image layout and a Docker archive: docker, podman, skopeo and umoci
 * read it. The bytes depend on the images, their names (`tags`) and their order only. `out` is not ended. Blobs are
 * verified on the way; when this rejects, what was written is not an archive.
 * @throws {CairnError} BLOB_NOT_FOUND, DIGEST_MISMATCH, ABORTED
 */
export async function saveImages(
  store: LocalStore,
  images: readonly ImageRecord[],
  out: Writable,
  options: SaveOptions = {},
): Promise<void> {
  const { signal } = options;
  try {
    await pipeline(Readable.from(imageArchive(store, images)), out, {
      end: false,
      ...(signal && { signal }),
    });
  } catch (error) {
    if (signal?.aborted) throw new CairnError('ABORTED', { message: 'saving was cancelled', cause: error });
    throw error;
  }
}

/** The archive of `saveImages` as chunks. */
export function imageArchive(store: LocalStore, images: readonly ImageRecord[]): AsyncGenerator<Uint8Array> {
  for (const image of images) keepWhileReading(store, image);
  return writeArchive(imageArchiveEntries(store.blobs, images));
}

/** Another process may prune while a long archive is written. Who may only read the store does without a lease. */
function keepWhileReading(store: LocalStore, image: ImageRecord): void {
  const { session, documents } = store.parts;
  try {
    session.open();
  } catch (error) {
    if (!hasCode(error, 'STORE_NOT_ACCESSIBLE')) throw error;
  }
  if (!session.lease(documents.closure(image.manifestDigest)))
    throw new CairnError('BLOB_NOT_FOUND', {
      message: `image ${image.id} is not complete in the store`,
      help: '"cairn fsck" tells which of its blobs are missing',
    });
}

/** The entries of such an archive; the caller holds leases on the images. */
export function imageArchiveEntries(
  blobs: BlobStore,
  images: readonly ImageRecord[],
): Generator<ArchiveEntry> {
  const repositories = dockerRepositories(images);
  return layoutEntries(
    blobs,
    images.flatMap((image) => descriptorsOf(blobs, image)),
    {
      files: [
        textEntry('manifest.json', `${JSON.stringify(images.map(dockerManifest))}\n`),
        ...(repositories === null ? [] : [textEntry('repositories', `${JSON.stringify(repositories)}\n`)]),
      ],
    },
  );
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

/** One for each name, or one without. */
function descriptorsOf(blobs: BlobStore, image: ImageRecord): readonly Descriptor[] {
  const descriptor: Descriptor = {
    mediaType: image.manifest.mediaType ?? mediaType.ociManifest,
    digest: image.manifestDigest,
    size: blobs.size(image.manifestDigest),
    platform: platformOf(image.config),
  };
  if (image.tags.length === 0) return [descriptor];
  return image.tags.map((tag) => nameEntry(descriptor, parseReference(tag)));
}

/** Docker's archive format 1.2: what `docker load` of every age, podman and skopeo read. */
function dockerManifest(image: ImageRecord) {
  return {
    Config: blobName(image.id),
    RepoTags: image.tags.length === 0 ? null : image.tags,
    Layers: image.manifest.layers.map((layer) => blobName(layer.digest)),
  };
}

/** The file `repositories`: for each tag its top layer. Docker leaves it out when there is no tag. */
function dockerRepositories(images: readonly ImageRecord[]): Record<string, Record<string, string>> | null {
  const repositories = new Map<string, Record<string, string>>();
  for (const image of images) {
    const top = image.manifest.layers.at(-1);
    if (top === undefined) continue;
    for (const tag of image.tags) {
      const reference = parseReference(tag);
      const name = familiarRepository(reference);
      repositories.set(name, { ...repositories.get(name), [reference.tag ?? 'latest']: hexOf(top.digest) });
    }
  }
  return repositories.size === 0 ? null : Object.fromEntries(repositories);
}

function platformOf({ os, architecture, variant }: ImageConfig) {
  return normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) });
}
