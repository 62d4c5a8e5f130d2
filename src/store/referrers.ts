import { CairnError } from '../errors/index.ts';
import { type Descriptor, type Digest, decodeManifest, encodeManifest, mediaType } from '../oci/index.ts';
import { syncFolder } from '../sys/index.ts';
import type { Artifact } from './contracts.ts';
import { isManifestType } from './image-document.ts';
import type { ImageStoreParts } from './image-store.ts';
import { isNamed } from './index-entry.ts';

// Referrers (image-spec manifest.md, "subject"): manifests that are about another one, such as a build record. In index.json they
// have an entry without a name. They live as long as their subject does: gc drops them with it.

const emptyConfig = '{}';

/** What `attach` will make of an artifact: its manifest's bytes depend on subject and artifact only. */
function referrerManifest(
  subject: Descriptor,
  { artifactType, layers, annotations }: Artifact,
  emptyDigest: Digest,
): string {
  return encodeManifest({
    schemaVersion: 2,
    mediaType: mediaType.ociManifest,
    artifactType,
    config: { mediaType: mediaType.ociEmpty, digest: emptyDigest, size: emptyConfig.length },
    layers,
    subject,
    ...(annotations && { annotations }),
  });
}

/** See `ImageStore.attach`. */
export function attach(parts: ImageStoreParts, subject: Descriptor, artifact: Artifact): Digest {
  const { blobs, index, session, paths } = parts;
  const empty = blobs.put(emptyConfig);
  const text = referrerManifest(subject, artifact, empty);
  const digest = blobs.put(text);
  const { artifactType } = artifact;
  const entry: Descriptor = {
    mediaType: mediaType.ociManifest,
    digest,
    size: blobs.size(digest),
    artifactType,
  };
  if (index.read().some((known) => known.digest === digest)) return digest;
  const closure = [digest, empty, ...artifact.layers.map((layer) => layer.digest)];
  syncFolder(paths.blobs);
  index.update((entries) => {
    if (!session.leaseLocked(closure))
      throw new CairnError('BLOB_NOT_FOUND', {
        message: `what is to be attached to ${subject.digest} is not in the store`,
        help: 'run the command again',
      });
    if (entries.some((known) => known.digest === digest)) return entries;
    const replaced = (known: Descriptor): boolean =>
      known.artifactType === artifactType && subjectOf(parts, known)?.digest === subject.digest;
    return [...entries.filter((known) => !replaced(known)), entry];
  });
  return digest;
}

/** See `ImageStore.referrers`. */
export function referrers(
  parts: ImageStoreParts,
  subject: Digest,
  artifactType?: string,
): readonly Descriptor[] {
  return parts.index.read().filter((entry) => {
    if (artifactType !== undefined && entry.artifactType !== artifactType) return false;
    return subjectOf(parts, entry)?.digest === subject;
  });
}

/** What an entry of the index is about: null for an image, a list, anything with a name, and what cannot be read. */
export function subjectOf(
  { blobs }: Pick<ImageStoreParts, 'blobs'>,
  { mediaType: type, digest, ...entry }: Descriptor,
): Descriptor | null {
  if (!isManifestType(type) || isNamed({ mediaType: type, digest, ...entry }) || !blobs.has(digest))
    return null;
  try {
    return decodeManifest(blobs.readText(digest), `manifest ${digest}`).subject ?? null;
  } catch (error) {
    if (error instanceof CairnError) return null;
    throw error;
  }
}
