import { setTimeout as sleep } from 'node:timers/promises';
import { type Descriptor, type DiffId, digestOf, encodeManifest, mediaType } from '../../oci/index.ts';
import type { Store } from '../../store/contracts.ts';
import {
  type CacheDocument,
  type CachedLayer,
  type CacheRecord,
  cacheType,
  encodeCache,
  holdsAll,
  mergeCache,
  tableType,
} from './cache-document.ts';
import type { CacheMode } from './cache-options.ts';
import type { CacheWriter } from './cache-place.ts';
import { packTable } from './layer-table.ts';

/** What a build did. */
export interface BuiltSteps {
  readonly records: readonly CacheRecord[];
  /** Of the images that it made. */
  readonly imageLayers: ReadonlySet<DiffId>;
}

export interface ExportInputs {
  readonly store: Store;
  readonly writer: CacheWriter;
  readonly mode: CacheMode;
  readonly signal: AbortSignal;
  /** The image that the cache lies beside. */
  readonly subject?: Descriptor;
}

/** Writers that overwrite each other come to rest long before: each adds what the other has left out. */
const maxRounds = 8;

/** Between writing and looking again: longer than another writer takes from its last look to its own writing. */
const settleMs = 150;

/**
 * Adds a build's records and layers to what is there. Registries know no atomic change: after writing, the cache is read again, and
 * written again if another writer came between; so both builds' records stay, and no blob is ever removed. When there is nothing to
 * add nothing is written.
 */
export async function exportCache(built: BuiltSteps, inputs: ExportInputs): Promise<void> {
  if (built.records.length === 0) return;
  const blobs = new Map<DiffId, CachedLayer>();
  for (let round = 0; round < maxRounds; round++) {
    const [present = null] = await inputs.writer.read(inputs.signal);
    const wanted = wantedOf(built, inputs.mode);
    if (present !== null && holdsAll(present.document, wanted)) return;
    const layers: CachedLayer[] = [];
    for (const layer of wanted.layers) {
      inputs.signal.throwIfAborted();
      layers.push(await putMissing(layer, { ...inputs, present: present?.document ?? null, blobs }));
    }
    // Uploads take time: what others wrote meanwhile is merged, too.
    const [latest = null] = await inputs.writer.read(inputs.signal);
    await putCache(mergeCache({ records: wanted.records, layers }, latest?.document ?? null), inputs);
    await sleep(settleMs, undefined, { signal: inputs.signal });
  }
}

/** Stands for a blob that is to be put there; replaced before anything is written. */
const wantedBlob: Descriptor = { mediaType: mediaType.ociLayer, digest: digestOf(''), size: 0 };

/** All records and tables; of layers as many as the mode says. */
function wantedOf({ records, imageLayers }: BuiltSteps, mode: CacheMode): CacheDocument {
  const layers = [...new Set(records.map(({ layer }) => layer))].map((diffId): CachedLayer => {
    const isHeld = mode === 'max' || imageLayers.has(diffId);
    return { diffId, table: wantedBlob, ...(isHeld ? { blob: wantedBlob } : {}) };
  });
  return { records, layers };
}

async function putMissing(
  { diffId, blob: wantsBlob }: CachedLayer,
  {
    store,
    writer,
    signal,
    present,
    blobs,
  }: ExportInputs & { readonly present: CacheDocument | null; readonly blobs: Map<DiffId, CachedLayer> },
): Promise<CachedLayer> {
  const known = { ...blobs.get(diffId), ...present?.layers.find((layer) => layer.diffId === diffId) };
  let { table, blob } = known;
  if (table === undefined) {
    await store.layers.prepare([diffId]);
    table = await writer.putBlob(tableType, await packTable(store.layers.toc(diffId)), signal);
  }
  if (blob === undefined && wantsBlob !== undefined) blob = await writer.putLayer(diffId, signal);
  const layer = { diffId, table, ...(blob && { blob }) };
  blobs.set(diffId, layer);
  return layer;
}

async function putCache(document: CacheDocument, { writer, signal, subject }: ExportInputs): Promise<void> {
  const config = await writer.putBlob(cacheType, Buffer.from(encodeCache(document)), signal);
  const listed = new Map<string, Descriptor>();
  for (const { blob, table } of document.layers)
    for (const item of [blob, table]) if (item !== undefined) listed.set(item.digest, item);
  const bytes = Buffer.from(
    encodeManifest({
      schemaVersion: 2,
      mediaType: mediaType.ociManifest,
      artifactType: cacheType,
      config,
      layers: [...listed.values()],
      ...(subject && { subject }),
    }),
  );
  await writer.putManifest({ mediaType: mediaType.ociManifest, digest: digestOf(bytes), bytes }, signal);
}
