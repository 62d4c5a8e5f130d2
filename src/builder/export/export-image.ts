import { CairnError } from '../../errors/index.ts';
import {
  canonicalName,
  type Descriptor,
  type Digest,
  decodeImageConfig,
  decodeManifest,
  familiarName,
  formatPlatform,
  type ImageConfig,
  type ImageId,
  mediaType,
  type Platform,
  type Reference,
  withDefaultTag,
} from '../../oci/index.ts';
import {
  archiveTrees,
  type ImageRecord,
  imageArchiveEntries,
  layoutEntries,
  type ManifestOptions,
  type PlacedTree,
  type Store,
  writeArchive,
} from '../../store/index.ts';
import { readContent } from '../archive/read-content.ts';
import { formatTime } from '../epoch.ts';
import { compressImage } from './compress-image.ts';
import { exportFolder } from './export-folder.ts';
import type { Annotation, AnnotationPlace, BuildOutput, ImageForm } from './output.ts';
import { readLayoutIndex, writeLayoutFolder, writeTo } from './output-target.ts';

/** What a build has made, before it is written anywhere: one image for each platform. */
export interface BuiltImages {
  readonly images: readonly { readonly platform: Platform; readonly config: ImageConfig }[];
  /** A list of platforms, even if it has one entry. */
  readonly isIndex: boolean;
}

export interface ExportOptions {
  readonly store: Store;
  /** Names without tag or digest have got `:latest`. */
  readonly tags: readonly Reference[];
  readonly annotations: readonly Annotation[];
  readonly epoch: number;
  /** Times of files are kept as they are. */
  readonly preserveTimes: boolean;
  readonly signal: AbortSignal;
}

/** An image in the store's blobs: what an output has written. */
export interface ExportedImage {
  /** Of the manifest, or of the list of platforms. */
  readonly descriptor: Descriptor;
  readonly images: readonly ExportedPlatform[];
  readonly names: readonly Reference[];
}

export interface ExportedPlatform {
  readonly platform: Platform;
  readonly imageId: ImageId;
  readonly manifestDigest: Digest;
}

/**
 * Writes what a build has made to one output.
 * @returns null for outputs that are files without an image
 * @throws {CairnError} OUTPUT_UNWRITABLE, OUTPUT_INVALID, ANNOTATION_INVALID
 */
export async function exportTo(
  output: BuildOutput,
  built: BuiltImages,
  options: ExportOptions,
): Promise<ExportedImage | null> {
  if (output.kind === 'local' || output.kind === 'tar') {
    await exportFiles(output, built, options);
    return null;
  }
  const image = writeImage(output, built, options);
  if (output.kind === 'store') {
    nameInStore(image, options.store);
    return image;
  }
  const { compression = 'none' } = output;
  const shaped = compression === 'none' ? image : await compressImage(image, compression, options.store);
  if (output.kind === 'docker') await exportDockerArchive(shaped, output.to, options);
  else await exportLayout(shaped, output.to, options);
  return shaped;
}

async function exportFiles(
  output: Extract<BuildOutput, { readonly kind: 'local' | 'tar' }>,
  built: BuiltImages,
  { store, epoch: buildEpoch, preserveTimes, signal }: ExportOptions,
): Promise<void> {
  const epoch = preserveTimes ? Number.POSITIVE_INFINITY : buildEpoch;
  const trees = placedTrees(built, store, output.splitPlatforms ?? built.isIndex);
  if (output.kind === 'tar') {
    const { content } = contentOf(store);
    return writeTo(output.to, archiveTrees(trees, { epoch, read: content }));
  }
  const { layers } = store;
  for (const { tree, folder } of trees) {
    const path = folder === '' ? output.path : `${output.path}/${folder}`;
    await exportFolder(tree, path, { layers, epoch, isMirror: output.isMirror ?? false, signal });
  }
}

function contentOf({ layers }: Store) {
  return {
    content: (node: Parameters<typeof layers.content>[0]) => readContent(layers.content(node), node.size),
  };
}

function placedTrees({ images }: BuiltImages, store: Store, isSplit: boolean): readonly PlacedTree[] {
  if (!isSplit && images.length > 1)
    throw new CairnError('OUTPUT_INVALID', {
      message: 'platform-split=false cannot be used with several platforms: their files have the same paths',
      help: 'leave platform-split out, or build one platform at a time',
    });
  return images.map(({ platform, config }) => ({
    tree: store.layers.tree(config.rootfs.diff_ids),
    folder: isSplit ? formatPlatform(platform).replaceAll('/', '_') : '',
  }));
}

/** Puts manifests into the store's blobs, and a list of them if that is wanted; nothing has a name yet. */
export function writeImage(form: ImageForm, built: BuiltImages, options: ExportOptions): ExportedImage {
  const annotations = [...options.annotations, ...(form.annotations ?? [])];
  if (!built.isIndex) refuseIndexAnnotations(annotations);
  const { images } = options.store;
  const written = built.images.map(({ platform, config }) => {
    const name = formatPlatform(platform);
    const record = images.put(config, {
      ...mediaTypesOf(form),
      ...pick(annotations, 'manifest', name),
    });
    return { platform, name, imageId: record.id, manifestDigest: record.manifestDigest, record };
  });
  const platforms = written.map(({ platform, imageId, manifestDigest }) => ({
    platform,
    imageId,
    manifestDigest,
  }));
  const names = form.names ?? options.tags;
  const [first] = written;
  if (first === undefined) throw new Error('a build for no platform');
  if (!built.isIndex) {
    const descriptor = descriptorOf(options.store, first.record);
    const described = { ...descriptor, ...pick(annotations, 'manifest-descriptor', first.name) };
    return { descriptor: described, images: platforms, names };
  }
  const digest = images.putIndex(
    written.map(({ platform, name, manifestDigest }) => ({
      platform,
      manifestDigest,
      ...pick(annotations, 'manifest-descriptor', name),
    })),
    { ...mediaTypesOf(form), ...pick(annotations, 'index', undefined) },
  );
  const descriptor: Descriptor = {
    mediaType: form.mediaTypes === 'docker' ? mediaType.dockerIndex : mediaType.ociIndex,
    digest,
    size: options.store.blobs.size(digest),
    ...pick(annotations, 'index-descriptor', undefined),
  };
  return { descriptor, images: platforms, names };
}

function mediaTypesOf({ mediaTypes }: ImageForm): Pick<ManifestOptions, 'mediaTypes'> {
  return mediaTypes ? { mediaTypes } : {};
}

/** The annotations for one place, later ones over earlier ones; nothing when there is none. */
function pick(
  annotations: readonly Annotation[],
  place: AnnotationPlace,
  platform: string | undefined,
): { readonly annotations?: Readonly<Record<string, string>> } {
  const chosen = annotations.filter(
    (each) => each.place === place && (each.platform === undefined || each.platform === platform),
  );
  if (chosen.length === 0) return {};
  return { annotations: Object.fromEntries(chosen.map((each) => [each.key, each.value])) };
}

function refuseIndexAnnotations(annotations: readonly Annotation[]): void {
  const wrong = annotations.find(({ place }) => place === 'index' || place === 'index-descriptor');
  if (wrong)
    throw new CairnError('ANNOTATION_INVALID', {
      message: `the annotation ${wrong.place}:${wrong.key} has no place: the result is a single image`,
      help: 'annotate the manifest, or build a list of platforms (--platform A,B or BUILDKIT_MULTI_PLATFORM=1)',
    });
}

function descriptorOf({ blobs }: Store, { manifest, manifestDigest, config }: ImageRecord): Descriptor {
  const { os, architecture, variant } = config;
  return {
    mediaType: manifest.mediaType ?? mediaType.ociManifest,
    digest: manifestDigest,
    size: blobs.size(manifestDigest),
    platform: { os, architecture, ...(variant ? { variant } : {}) },
  };
}

function nameInStore({ descriptor, names }: ExportedImage, { images }: Store): void {
  if (names.length > 0) images.tag(descriptor.digest, names);
  else images.keepUntagged(descriptor.digest);
}

async function exportDockerArchive(
  { images, names }: ExportedImage,
  to: Extract<BuildOutput, { readonly kind: 'docker' }>['to'],
  { store }: ExportOptions,
): Promise<void> {
  const [image, ...others] = images;
  if (image === undefined || others.length > 0)
    throw new CairnError('OUTPUT_INVALID', {
      message: 'a Docker archive holds images of one platform only',
      help: 'use type=oci for a list of platforms, or build one platform at a time',
    });
  const record = recordOf(store, image);
  const tags = names.map((name) => familiarName(withDefaultTag(name)));
  await writeTo(to, writeArchive(imageArchiveEntries(store.blobs, [{ ...record, tags }])));
}

/** The record as it was just written: it may have no name in the store, or several manifests there. */
function recordOf({ blobs }: Store, { imageId, manifestDigest }: ExportedPlatform): ImageRecord {
  const config = decodeImageConfig(blobs.readText(imageId), `config ${imageId}`);
  const manifest = decodeManifest(blobs.readText(manifestDigest), `manifest ${manifestDigest}`);
  return { id: imageId, config, manifest, manifestDigest, tags: [], repoDigests: [] };
}

async function exportLayout(
  image: ExportedImage,
  to: Extract<BuildOutput, { readonly kind: 'oci' }>['to'],
  { store, epoch }: ExportOptions,
): Promise<void> {
  const entries = namedDescriptors(image, epoch);
  if (to.kind !== 'folder') return writeTo(to, writeArchive(layoutEntries(store.blobs, entries)));
  const kept = readLayoutIndex(to.path).filter((old) => !entries.some((entry) => isReplaced(old, entry)));
  await writeLayoutFolder(to.path, layoutEntries(store.blobs, entries, { others: kept }));
}

const refNameKey = 'org.opencontainers.image.ref.name';
const imageNameKey = 'io.containerd.image.name';
const createdKey = 'org.opencontainers.image.created';

/** For each name one descriptor with the annotations that BuildKit gives it: the full name, and the tag alone. */
function namedDescriptors({ descriptor, names }: ExportedImage, epoch: number): readonly Descriptor[] {
  const annotations = { ...descriptor.annotations, [createdKey]: formatTime(epoch) };
  if (names.length === 0) return [{ ...descriptor, annotations }];
  return names.map(withDefaultTag).map((name) => ({
    ...descriptor,
    annotations: {
      ...annotations,
      [imageNameKey]: canonicalName(name),
      ...(name.tag === undefined ? {} : { [refNameKey]: name.tag }),
    },
  }));
}

/** An entry of a layout gives way to one of its name, or without a name to one of its digest. */
function isReplaced(old: Descriptor, fresh: Descriptor): boolean {
  const name = (entry: Descriptor) => entry.annotations?.[imageNameKey] ?? entry.annotations?.[refNameKey];
  return name(old) === undefined ? old.digest === fresh.digest : name(old) === name(fresh);
}
