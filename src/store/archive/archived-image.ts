import * as v from 'valibot';
import { CairnError, hasCode } from '../../errors/index.ts';
import {
  type Descriptor,
  type DiffId,
  type Digest,
  decodeImageConfig,
  decodeIndex,
  decodeManifest,
  formatPlatform,
  hexOf,
  type ImageConfig,
  normalizePlatform,
  type Platform,
  parseReference,
  type Reference,
  samePlatform,
  withDefaultTag,
} from '../../oci/index.ts';
import { isImageManifest, isIndexType, isManifestType } from '../image-document.ts';
import { imageNameKey, refNameKey } from '../index-entry.ts';
import type { ArchivedFile, SpooledArchive } from './spooled-archive.ts';

/** An image as an archive describes it; nothing of it is verified but the documents. */
export interface ArchivedImage {
  /** The config's own bytes: their digest is the image ID. */
  readonly configBytes: Buffer;
  readonly layers: readonly { readonly diffId: DiffId; readonly file: ArchivedFile }[];
  readonly names: readonly Reference[];
}

const maxManifests = 1000;

const dockerManifestSchema = v.array(
  v.object({
    Config: v.string(),
    RepoTags: v.optional(v.nullable(v.array(v.string()))),
    Layers: v.nullable(v.array(v.string())),
  }),
);

/**
 * The images of an archive, whatever wrote it: Docker's manifest.json, or the index.json of an OCI layout. Of an
 * image for several platforms, the one for `platform`.
 * @param platform - null for what suits this machine best
 * @throws {CairnError} ARCHIVE_INVALID, DIGEST_MISMATCH, DOCUMENT_INVALID, PLATFORM_MISMATCH
 */
export function imagesOfArchive(
  archive: SpooledArchive,
  host: Platform,
  platform: Platform | null,
): readonly ArchivedImage[] {
  const docker = archive.find('manifest.json');
  const oci = archive.find('index.json');
  // An archive of both kinds says the same in both, but only the index knows platforms.
  if (docker !== null && (oci === null || platform === null)) return dockerImages(archive, docker, platform);
  if (oci !== null) return ociImages(archive, oci, { host, platform });
  throw new CairnError('ARCHIVE_INVALID', {
    message: 'this is not an image archive: it has neither manifest.json nor index.json',
    help: '"cairn import" makes an image from the tar of a root file system',
  });
}

function dockerImages(
  archive: SpooledArchive,
  file: ArchivedFile,
  platform: Platform | null,
): readonly ArchivedImage[] {
  return decodeDockerManifest(archive.read(file).toString('utf8')).map((item) => {
    const configFile = archive.get(item.Config);
    checkName(item.Config, configFile.digest);
    const names = (item.RepoTags ?? []).map((tag) => readName(tag));
    const layerFiles = (item.Layers ?? []).map((name) => archive.get(name));
    return archivedImage({ archive, configFile, layerFiles, names, platform });
  });
}

function decodeDockerManifest(text: string): v.InferOutput<typeof dockerManifestSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new CairnError('ARCHIVE_INVALID', { message: 'manifest.json of the archive is not JSON', cause });
  }
  const result = v.safeParse(dockerManifestSchema, value);
  if (result.success && result.output.length <= maxManifests) return result.output;
  const issue = result.issues?.[0];
  const place = issue === undefined ? 'more images than can be' : (v.getDotPath(issue) ?? 'its root');
  throw new CairnError('ARCHIVE_INVALID', { message: `manifest.json of the archive is invalid: ${place}` });
}

interface Parts {
  readonly archive: SpooledArchive;
  readonly configFile: ArchivedFile;
  readonly layerFiles: readonly ArchivedFile[];
  readonly names: readonly Reference[];
  readonly platform: Platform | null;
}

function archivedImage({ archive, configFile, layerFiles, names, platform }: Parts): ArchivedImage {
  const configBytes = archive.read(configFile);
  const config = decodeImageConfig(configBytes.toString('utf8'), `config ${configFile.digest}`);
  const diffIds = config.rootfs.diff_ids;
  if (diffIds.length !== layerFiles.length)
    throw new CairnError('ARCHIVE_INVALID', {
      message: `image ${configFile.digest} has ${layerFiles.length} layers in the archive and ${diffIds.length} in its config`,
    });
  if (platform !== null && !samePlatform(platformOf(config), platform))
    throw mismatch([formatPlatform(platformOf(config))], platform);
  return {
    configBytes,
    names,
    layers: diffIds.map((diffId, index) => ({ diffId, file: layerFiles[index] as ArchivedFile })),
  };
}

interface Choice {
  readonly host: Platform;
  readonly platform: Platform | null;
}

function ociImages(archive: SpooledArchive, file: ArchivedFile, choice: Choice): readonly ArchivedImage[] {
  const index = decodeIndex(archive.read(file).toString('utf8'), 'index.json of the archive');
  if (index.manifests.length > maxManifests)
    throw new CairnError('ARCHIVE_INVALID', {
      message: 'index.json of the archive lists more images than can be',
    });
  const byManifest = new Map<Digest, { image: ArchivedImage; names: Reference[] }>();
  for (const entry of index.manifests) {
    const manifestFile = imageManifestFile(archive, entry, choice);
    if (manifestFile === null) continue;
    const names = namesOfEntry(entry);
    const known = byManifest.get(manifestFile.digest);
    if (known !== undefined) known.names.push(...names);
    else
      byManifest.set(manifestFile.digest, {
        image: ociImage(archive, manifestFile, choice),
        names: [...names],
      });
  }
  if (byManifest.size === 0)
    throw new CairnError('ARCHIVE_INVALID', { message: 'the OCI layout in the archive has no image' });
  return [...byManifest.values()].map(({ image, names }) => ({ ...image, names }));
}

/** The manifest that an entry stands for; null for an artifact. */
function imageManifestFile(archive: SpooledArchive, entry: Descriptor, choice: Choice): ArchivedFile | null {
  if (isIndexType(entry.mediaType)) return chooseManifest(archive, entry, choice);
  if (!isManifestType(entry.mediaType)) return null;
  const file = getBlob(archive, entry.digest);
  return isImageManifest(manifestOf(archive, file)) ? file : null;
}

function chooseManifest(
  archive: SpooledArchive,
  entry: Descriptor,
  { host, platform }: Choice,
): ArchivedFile {
  const list = decodeIndex(
    archive.read(getBlob(archive, entry.digest)).toString('utf8'),
    `index ${entry.digest}`,
  );
  // Build attestations stand in the list as images for the platform "unknown/unknown".
  const images = list.manifests.filter(
    (item) => isManifestType(item.mediaType) && item.platform?.os !== 'unknown',
  );
  const wanted = platform ?? host;
  const exact = images.find((item) => item.platform !== undefined && samePlatform(item.platform, wanted));
  const onlyOne = platform === null && images.length === 1 ? images[0] : undefined;
  // `docker save` of one platform keeps the whole list and leaves out the other platforms' blobs.
  const present = images.filter((item) => archive.find(blobName(item.digest)) !== null);
  const chosen = exact ?? onlyOne ?? (platform === null && present.length === 1 ? present[0] : undefined);
  if (chosen !== undefined) return getBlob(archive, chosen.digest);
  throw mismatch(
    images.flatMap((item) => (item.platform ? [formatPlatform(item.platform)] : [])),
    wanted,
  );
}

function ociImage(archive: SpooledArchive, manifestFile: ArchivedFile, { platform }: Choice): ArchivedImage {
  const manifest = manifestOf(archive, manifestFile);
  const configFile = getBlob(archive, manifest.config.digest);
  const layerFiles = manifest.layers.map((layer) => getBlob(archive, layer.digest));
  return archivedImage({ archive, configFile, layerFiles, names: [], platform });
}

function manifestOf(archive: SpooledArchive, file: ArchivedFile) {
  return decodeManifest(archive.read(file).toString('utf8'), `manifest ${file.digest}`);
}

function blobName(digest: Digest): string {
  return `blobs/sha256/${hexOf(digest)}`;
}

function getBlob(archive: SpooledArchive, digest: Digest): ArchivedFile {
  const file = archive.get(blobName(digest));
  checkName(blobName(digest), file.digest);
  return file;
}

/** Files that are named by their digest must have it. */
function checkName(name: string, digest: Digest): void {
  const hex = /(?:^|\/)([0-9a-f]{64})(?:\.json)?$/.exec(name)?.[1];
  if (hex === undefined || hex === hexOf(digest)) return;
  throw new CairnError('DIGEST_MISMATCH', {
    message: `"${name}" in the archive is damaged: its bytes have the digest ${digest}`,
    help: 'copy or download the archive again',
  });
}

/**
 * The name of an entry: containerd's annotation has the full one; the spec's own may be a full one (skopeo,
 * podman), or beside containerd's only the tag.
 */
function namesOfEntry({ annotations = {} }: Descriptor): readonly Reference[] {
  const name = annotations[imageNameKey] ?? annotations[refNameKey];
  if (name === undefined || name === '' || name.startsWith('sha256:')) return [];
  const { tag, ...reference } = readName(name);
  if (reference.digest !== undefined)
    return tag === undefined ? [] : [readName(name.slice(0, name.indexOf('@')))];
  return [{ ...reference, ...(tag === undefined ? {} : { tag }) }];
}

function readName(name: string): Reference {
  try {
    return withDefaultTag(parseReference(name));
  } catch (cause) {
    if (!hasCode(cause, 'REFERENCE_INVALID')) throw cause;
    throw new CairnError('ARCHIVE_INVALID', {
      message: `the archive names an image "${name}": ${cause.message}`,
      cause,
    });
  }
}

function platformOf({ os, architecture, variant }: ImageConfig): Platform {
  return normalizePlatform({ os, architecture, ...(variant === undefined ? {} : { variant }) });
}

function mismatch(offered: readonly string[], wanted: Platform): CairnError {
  return new CairnError('PLATFORM_MISMATCH', {
    message: `the archive has no image for ${formatPlatform(wanted)}`,
    notes: offered.map((name) => ({ message: `it has one for ${name}` })),
    help: 'choose one of them with --platform',
  });
}
