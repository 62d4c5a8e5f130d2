import { CairnError } from '../../errors/index.ts';
import { type Digest, decodeManifest, digestOf } from '../../oci/index.ts';
import type { ImageRecord, Store } from '../../store/contracts.ts';
import type { BuildRecord } from './build-record.ts';
import { decodeStatement, encodeStatement } from './statement.ts';

/** artifactType and layer type of a record's referrer (in-toto/attestation, spec/v1/bundle.md). */
const recordType = 'application/vnd.in-toto+json';

/** Records of contexts with many files are long; a longer one than this is none of ours. */
const maxRecordBytes = 256 << 20;

/**
 * Attaches a build record to an image in the store, in place of an earlier one. The image's own digests do not change.
 * Costs no write and no lock when the same record is there.
 * @returns digest of the referrer's manifest
 */
export function attachRecord(store: Store, manifestDigest: Digest, record: BuildRecord): Digest {
  return attachStatement(store, manifestDigest, encodeStatement(record, manifestDigest));
}

/** As `attachRecord` for a statement that is written already, such as one that came with an archive or from a registry. */
function attachStatement(store: Store, manifestDigest: Digest, statement: string): Digest {
  const bytes = Buffer.from(statement, 'utf8');
  const digest = digestOf(bytes);
  if (!store.blobs.has(digest)) store.blobs.put(bytes);
  const layers = [{ mediaType: recordType, digest, size: bytes.length }];
  return store.images.attach(manifestDigest, { artifactType: recordType, layers });
}

/** The statement attached to an image, as it is; null when there is none. */
function readStatement(store: Store, manifestDigest: Digest): string | null {
  for (const { digest } of store.images.referrers(manifestDigest, recordType)) {
    const { layers } = decodeManifest(store.blobs.readText(digest), `manifest ${digest}`);
    const layer = layers.find(({ mediaType }) => mediaType === recordType);
    if (layer !== undefined) return store.blobs.readText(layer.digest, maxRecordBytes);
  }
  return null;
}

/**
 * The build record of an image: of any of its manifests in the store.
 * @throws {CairnError} RECORD_NOT_FOUND, RECORD_INVALID
 */
export function readRecord(store: Store, image: ImageRecord, shownName: string): BuildRecord {
  for (const manifest of new Set([image.manifestDigest, ...store.images.manifestsOf(image.id)])) {
    const statement = readStatement(store, manifest);
    if (statement !== null) return decodeStatement(statement);
  }
  throw new CairnError('RECORD_NOT_FOUND', {
    message: `image "${shownName}" has no build record`,
    help: 'only images that Cairn built have one, and it does not travel with "cairn save": build the image again here',
  });
}
