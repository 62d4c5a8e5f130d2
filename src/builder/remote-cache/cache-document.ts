import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';
import { type Descriptor, type DiffId, type Digest, isDigest, mediaType } from '../../oci/index.ts';

/** Config type and artifact type of a cache's manifest. */
export const cacheType = 'application/vnd.cairn.cache.v1+json';
/** A layer's table of contents, compressed with gzip. */
export const tableType = 'application/vnd.cairn.layer.toc.v1+json+gzip';

/** A cache holds at most so many records: a config that registries and readers accept has a few MiB. */
const maxRecords = 5000;

/** That a step gave a layer. `key` is the digest of all that the step reads (cache-key.ts). */
export interface CacheRecord {
  readonly key: Digest;
  readonly layer: DiffId;
  readonly createdAt: string;
  readonly durationMs: number;
}

/** A layer that records name, and what the cache has of it. */
export interface CachedLayer {
  readonly diffId: DiffId;
  /** The layer as a blob of the cache; absent where only its name is known (`mode=min`). */
  readonly blob?: Descriptor;
  /** Its table of contents. */
  readonly table?: Descriptor;
}

/** What the config of a cache's manifest says. */
export interface CacheDocument {
  /** The build that wrote last comes first. */
  readonly records: readonly CacheRecord[];
  readonly layers: readonly CachedLayer[];
}

const digest = v.custom<string>(isDigest, 'not a sha256 digest');
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const descriptor = (types: readonly string[]) => v.object({ mediaType: v.picklist(types), digest, size });

const layerTypes = [mediaType.ociLayer, mediaType.ociLayerGzip, mediaType.ociLayerZstd];

const schema = v.object({
  version: v.literal(1),
  records: v.pipe(
    v.array(
      v.object({
        key: digest,
        layer: digest,
        createdAt: v.pipe(v.string(), v.isoTimestamp()),
        durationMs: v.pipe(v.number(), v.minValue(0)),
      }),
    ),
    v.maxLength(maxRecords),
  ),
  layers: v.pipe(
    v.array(
      v.object({
        diffId: digest,
        blob: v.optional(descriptor(layerTypes)),
        table: v.optional(descriptor([tableType])),
      }),
    ),
    v.maxLength(maxRecords),
  ),
});

/** The one way in which a cache is written: the same records and layers give the same bytes. */
export function encodeCache({ records, layers }: CacheDocument): string {
  return JSON.stringify({
    version: 1,
    records: records.map(({ key, layer, createdAt, durationMs }) => ({ key, layer, createdAt, durationMs })),
    layers: layers.map(({ diffId, blob, table }) => ({ diffId, blob: bare(blob), table: bare(table) })),
  });
}

/** @throws {CairnError} DOCUMENT_INVALID */
export function decodeCache(json: string, name: string): CacheDocument {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new CairnError('DOCUMENT_INVALID', { message: `${name} is not JSON`, cause });
  }
  const result = v.safeParse(schema, value);
  if (result.success) return result.output as unknown as CacheDocument;
  const issue = result.issues[0];
  throw new CairnError('DOCUMENT_INVALID', {
    message: `${name} is invalid at "${v.getDotPath(issue) ?? '(root)'}": ${issue.message}`,
  });
}

/**
 * What a cache says after a build has added to it: the build's own records first, then what others left, until there are too many.
 * Layers that no record names are left out. Of two blobs for one layer that of the cache stays.
 */
export function mergeCache(own: CacheDocument, present: CacheDocument | null): CacheDocument {
  const records = new Map<Digest, CacheRecord>();
  const before = new Map((present?.records ?? []).map((record) => [record.key, record]));
  for (const record of own.records) {
    const known = before.get(record.key);
    // When it was found out is of no interest: a record that says the same stays as it is.
    records.set(record.key, known?.layer === record.layer ? known : record);
  }
  for (const record of before.values()) if (!records.has(record.key)) records.set(record.key, record);
  const kept = [...records.values()].slice(0, maxRecords);
  const layers = new Map<DiffId, CachedLayer>();
  for (const layer of [...(present?.layers ?? []), ...own.layers])
    layers.set(layer.diffId, { ...layer, ...layers.get(layer.diffId) });
  const named = new Set(kept.map(({ layer }) => layer));
  return { records: kept, layers: [...layers.values()].filter(({ diffId }) => named.has(diffId)) };
}

/** Whether `present` has all that `own` would add. */
export function holdsAll(present: CacheDocument, own: CacheDocument): boolean {
  const records = new Map(present.records.map(({ key, layer }) => [key, layer]));
  const layers = new Map(present.layers.map((layer) => [layer.diffId, layer]));
  return (
    own.records.every(({ key, layer }) => records.get(key) === layer) &&
    own.layers.every(({ diffId, blob, table }) => {
      const known = layers.get(diffId);
      return (
        known !== undefined &&
        (blob === undefined || known.blob !== undefined) &&
        (table === undefined || known.table !== undefined)
      );
    })
  );
}

function bare(item: Descriptor | undefined): Descriptor | undefined {
  return item && { mediaType: item.mediaType, digest: item.digest, size: item.size };
}
