import { CairnError, hasCode } from '../../errors/index.ts';
import {
  type Descriptor,
  type Digest,
  decodeIndex,
  digestOf,
  encodeIndex,
  hexOf,
  type Index,
  type Manifest,
  mediaType,
} from '../../oci/index.ts';
import type { FetchedManifest, RepositoryClient } from './repository-client.ts';

const maxReferrers = 10_000;

/**
 * Manifests about another one (distribution-spec 1.1, "Listing Referrers"): from the referrers API, or where a registry lacks it
 * from the tag `sha256-<hex>` that clients maintain in its place.
 * @param artifactType - only those of that type
 * @throws {CairnError} as `RegistryClient.expect`
 */
export async function listReferrers(
  repository: RepositoryClient,
  subject: Digest,
  options: { readonly doing: string; readonly artifactType?: string; readonly signal?: AbortSignal },
): Promise<readonly Descriptor[]> {
  const { doing, artifactType, signal } = options;
  const fromApi = await askApi(repository, subject, options);
  const all = fromApi ?? (await readTag(repository, subject, doing, signal))?.manifests ?? [];
  // A registry may leave the filter to us.
  return artifactType === undefined ? all : all.filter((item) => item.artifactType === artifactType);
}

/**
 * Pushes a manifest that has a `subject`; its blobs must be there. Where the registry does not keep track of subjects, the
 * fallback tag gets the manifest added.
 * @throws {CairnError} as `RepositoryClient.putManifest`
 */
export async function pushReferrer(
  repository: RepositoryClient,
  manifest: FetchedManifest,
  document: Manifest & Required<Pick<Manifest, 'subject'>>,
  options: { readonly doing: string; readonly signal?: AbortSignal },
): Promise<void> {
  const { doing, signal } = options;
  const { hasSubject } = await repository.putManifest(manifest.digest, manifest, doing, signal);
  if (hasSubject) return;
  const subject = document.subject.digest;
  if ((await askApi(repository, subject, options)) !== null) return;
  const known = await readTag(repository, subject, doing, signal);
  const artifactType = document.artifactType ?? document.config.mediaType;
  const added: Descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
    artifactType,
    ...(document.annotations && { annotations: document.annotations }),
  };
  const manifests = [...(known?.manifests ?? []).filter(({ digest }) => digest !== added.digest), added];
  const bytes = Buffer.from(encodeIndex({ schemaVersion: 2, mediaType: mediaType.ociIndex, manifests }));
  const index = { mediaType: mediaType.ociIndex, digest: digestOf(bytes), bytes };
  await repository.putManifest(fallbackTag(subject), index, doing, signal);
}

/** The tag that stands in for the referrers API: `sha256-<hex>`. */
function fallbackTag(subject: Digest): string {
  return `sha256-${hexOf(subject)}`;
}

/** @returns null when the registry has no such API */
async function askApi(
  repository: RepositoryClient,
  subject: Digest,
  {
    doing,
    artifactType,
    signal,
  }: { readonly doing: string; readonly artifactType?: string; readonly signal?: AbortSignal },
): Promise<readonly Descriptor[] | null> {
  const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`;
  const found: Descriptor[] = [];
  try {
    const pages = repository.registry.pages(`${repository.name}/referrers/${subject}${query}`, {
      doing,
      scopes: [`repository:${repository.name}:pull`],
      accept: mediaType.ociIndex,
      ...(signal && { signal }),
    });
    for await (const text of pages) {
      found.push(...decodeIndex(text, `list of referrers of ${subject}`).manifests);
      if (found.length > maxReferrers) break;
    }
    return found;
  } catch (error) {
    // Registries without the API answer 404, some 400 or 405.
    if (hasCode(error, 'REGISTRY_NOT_FOUND') || hasCode(error, 'REGISTRY_FAILED')) return null;
    if (error instanceof CairnError && error.code === 'DOCUMENT_INVALID') return null;
    throw error;
  }
}

async function readTag(
  repository: RepositoryClient,
  subject: Digest,
  doing: string,
  signal: AbortSignal | undefined,
): Promise<Index | null> {
  try {
    const { bytes, mediaType: type } = await repository.getManifest(fallbackTag(subject), doing, signal);
    return type === mediaType.ociIndex
      ? decodeIndex(bytes.toString('utf8'), `referrers of ${subject}`)
      : null;
  } catch (error) {
    if (hasCode(error, 'REGISTRY_NOT_FOUND')) return null;
    throw error;
  }
}
