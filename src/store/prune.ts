import * as fs from 'node:fs';
import { join } from 'node:path';
import { type Digest, hexOf, parseReference } from '../oci/index.ts';
import { type CacheMountEntry, listCacheMounts, removeCacheMount } from './cache-mounts.ts';
import { blobBytes, livingLeases, sweep } from './collect-garbage.ts';
import type { ImageRecord } from './contracts.ts';
import { listIfExists } from './durable-file.ts';
import { type FetchedSourceEntry, listFetchedSources, removeFetchedSource } from './fetched-sources.ts';
import { type RemovalReport, removeNames } from './remove-image.ts';
import { moveAway, removeTree } from './remove-tree.ts';
import type { StepEntry } from './step-cache.ts';
import { withStoreErrors } from './store-error.ts';
import type { StoreParts, WithParts } from './store-parts.ts';
import { listUnpacked, type UnpackedEntry } from './unpacked-usage.ts';

/** `label=k`, `label=k=v`, and with `isNegated` `label!=…`. */
export interface LabelFilter {
  readonly name: string;
  readonly value?: string;
  readonly isNegated: boolean;
}

export interface ImagePruneOptions {
  /** Also images that have tags (nothing here runs in the background, so none is in use). */
  readonly all?: boolean;
  /** Only images created before this moment, in milliseconds since 1970. */
  readonly untilMs?: number;
  /** All of them must hold. */
  readonly labels?: readonly LabelFilter[];
}

/** `image prune`: removes images without a tag, or with `all` every image, and then what nothing else needs. */
export function pruneImages({ parts }: WithParts, options: ImagePruneOptions = {}): RemovalReport {
  const records = parts.images
    .list()
    .filter((record) => (options.all || record.tags.length === 0) && isPrunable(record, options))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  const wanted = records.map((record) => ({
    record,
    names: [...record.tags, ...record.repoDigests].map(parseReference),
  }));
  return removeNames(parts, wanted);
}

function isPrunable(record: ImageRecord, options: ImagePruneOptions): boolean {
  const { untilMs, labels = [] } = options;
  if (untilMs !== undefined && Date.parse(record.config.created ?? '1970-01-01T00:00:00Z') > untilMs)
    return false;
  const own = record.config.config?.Labels ?? {};
  return labels.every((filter) => matches(own, filter) !== filter.isNegated);
}

function matches(labels: Readonly<Record<string, string>>, filter: LabelFilter): boolean {
  if (!Object.hasOwn(labels, filter.name)) return false;
  return filter.value === undefined || labels[filter.name] === filter.value;
}

export interface CachePruneOptions {
  /** Also records whose layer an image holds. */
  readonly all?: boolean;
  /** Only records that no build has used since this moment, in milliseconds since 1970. */
  readonly untilMs?: number;
  /**
   * Stops when the cache takes no more than this; least recently used go first. Counted is all that could go: layers that only the cache
   * holds, cache mounts, fetched sources, and the unpacked forms of all layers.
   */
  readonly keepStorageBytes?: number;
}

/** A record that went. */
export interface PrunedStep {
  readonly key: Digest;
  readonly layer: Digest;
  readonly place: string;
  /** Bytes of its layer if nothing else held it, else 0. */
  readonly sizeBytes: number;
  readonly lastUsedMs: number;
}

export interface CachePruneReport {
  readonly steps: readonly PrunedStep[];
  /** Cache mounts that went. */
  readonly mounts: readonly CacheMountEntry[];
  /** Files and repositories from elsewhere that went. */
  readonly sources: readonly FetchedSourceEntry[];
  /** Unpacked forms that went alone, to keep below a limit; their layers are still there. */
  readonly unpacked: readonly UnpackedEntry[];
  readonly reclaimedBytes: number;
}

/**
 * `builder prune`: removes cache records, cache mounts and fetched sources that no build is using, oldest use first, then the layers
 * that nothing holds any more. Layers that a living process leases stay.
 */
export function pruneCache({ parts }: WithParts, options: CachePruneOptions = {}): CachePruneReport {
  if (!fs.existsSync(parts.paths.format))
    return { steps: [], mounts: [], sources: [], unpacked: [], reclaimedBytes: 0 };
  return withStoreErrors(parts.paths.root, () => {
    const trash = parts.session.temporary();
    fs.mkdirSync(trash, { mode: 0o700 });
    const report = parts.session.exclusive(() => {
      const chosen = choose(parts, options);
      for (const entry of chosen.steps) fs.rmSync(entry.path, { force: true });
      const mounts = chosen.mounts.filter((entry) => removeCacheMount(parts.paths, entry, trash));
      const sources = chosen.sources.filter((entry) => removeFetchedSource(parts.paths, entry, trash));
      const unpacked = chosen.unpacked.filter(({ name }) => {
        const path = join(parts.paths.rootfs, name);
        moveAway(path, trash, `rootfs-${name}`);
        return !fs.existsSync(path);
      });
      const swept = sweep(parts, trash);
      const sizes = new Map(swept.blobs.map((blob) => [blob.digest, blob.sizeBytes]));
      const steps = chosen.steps.map(({ head, lastUsedMs }) => {
        const sizeBytes = sizes.get(head.layer) ?? 0;
        sizes.delete(head.layer);
        return { key: head.key, layer: head.layer, place: head.place, sizeBytes, lastUsedMs };
      });
      const folders = [...mounts, ...sources, ...unpacked];
      const folderBytes = folders.reduce((sum, entry) => sum + entry.sizeBytes, 0);
      return { steps, mounts, sources, unpacked, reclaimedBytes: swept.reclaimedBytes + folderBytes };
    });
    for (const name of listIfExists(trash)) removeTree(`${trash}/${name}`);
    return report;
  });
}

/** Something that pruning may take, with what goes by age needs. */
type Candidate = { readonly lastUsedMs: number; readonly name: string } & (
  | { readonly step: StepEntry }
  | { readonly mount: CacheMountEntry }
  | { readonly source: FetchedSourceEntry }
  | { readonly unpacked: UnpackedEntry }
);

interface Chosen {
  readonly steps: readonly StepEntry[];
  readonly mounts: readonly CacheMountEntry[];
  readonly sources: readonly FetchedSourceEntry[];
  readonly unpacked: readonly UnpackedEntry[];
}

/** All that is in a cache, and what of it may not go. */
interface Stock {
  readonly entries: readonly StepEntry[];
  readonly mounts: readonly CacheMountEntry[];
  readonly sources: readonly FetchedSourceEntry[];
  /** Looked at only when there is a limit: their sizes take a walk. */
  readonly unpacked: readonly UnpackedEntry[];
  /** Layers of images. */
  readonly held: ReadonlySet<Digest>;
  /** What living processes need: with a limit, taking it would gain nothing. */
  readonly leased: ReadonlySet<Digest>;
}

function takeStock(parts: StoreParts, hasLimit: boolean): Stock {
  const held = imageLayers(parts);
  const entries = parts.steps.entries();
  const layers = new Set([...held, ...entries.map(({ head }) => head.layer)]);
  return {
    entries,
    mounts: listCacheMounts(parts.paths),
    sources: listFetchedSources(parts.paths),
    unpacked: hasLimit ? listUnpacked(parts.paths, layers) : [],
    held,
    leased: hasLimit ? livingLeases(parts) : new Set(),
  };
}

function choose(parts: StoreParts, options: CachePruneOptions): Chosen {
  const { untilMs = Number.POSITIVE_INFINITY, keepStorageBytes, all = false } = options;
  const stock = takeStock(parts, keepStorageBytes !== undefined);
  const candidates = candidatesOf(stock, all).filter(({ lastUsedMs }) => lastUsedMs <= untilMs);
  candidates.sort((a, b) => a.lastUsedMs - b.lastUsedMs || (a.name < b.name ? -1 : 1));
  const chosen =
    keepStorageBytes === undefined ? candidates : chooseToFit(parts, stock, candidates, keepStorageBytes);
  return {
    steps: chosen.flatMap((candidate) => ('step' in candidate ? [candidate.step] : [])),
    mounts: chosen.flatMap((candidate) => ('mount' in candidate ? [candidate.mount] : [])),
    sources: chosen.flatMap((candidate) => ('source' in candidate ? [candidate.source] : [])),
    unpacked: chosen.flatMap((candidate) => ('unpacked' in candidate ? [candidate.unpacked] : [])),
  };
}

function candidatesOf(stock: Stock, all: boolean): Candidate[] {
  const { entries, mounts, sources, unpacked, held, leased } = stock;
  const lastUses = new Map<Digest, number>();
  for (const { head, lastUsedMs } of entries)
    lastUses.set(head.layer, Math.max(lastUses.get(head.layer) ?? 0, lastUsedMs));
  return [
    ...entries
      .filter(({ head }) => !leased.has(head.layer) && (all || !held.has(head.layer)))
      .map((step) => ({ step, lastUsedMs: step.lastUsedMs, name: hexOf(step.head.key) })),
    ...mounts
      .filter((mount) => !mount.inUse)
      .map((mount) => ({ mount, lastUsedMs: mount.lastUsedMs, name: mount.name })),
    ...sources
      .filter((source) => !source.inUse)
      .map((source) => ({ source, lastUsedMs: source.lastUsedMs, name: source.name })),
    ...unpacked
      .filter(({ layer }) => !leased.has(layer))
      .map((entry) => ({
        unpacked: entry,
        lastUsedMs: Math.max(entry.madeMs, lastUses.get(entry.layer) ?? 0),
        name: entry.name,
      })),
  ];
}

/**
 * The candidates that must go, from the front. A layer's bytes count until the last record that holds it is gone, those of its unpacked
 * forms until it or they go.
 */
function chooseToFit(
  parts: StoreParts,
  { entries, mounts, sources, unpacked, held }: Stock,
  candidates: readonly Candidate[],
  keepStorageBytes: number,
): readonly Candidate[] {
  const holders = new Map<Digest, number>();
  for (const { head } of entries) holders.set(head.layer, (holders.get(head.layer) ?? 0) + 1);
  let used = [...mounts, ...sources, ...unpacked].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  for (const layer of holders.keys()) if (!held.has(layer)) used += blobBytes(parts, layer);
  const gone = new Set<UnpackedEntry>();
  const drop = (form: UnpackedEntry): boolean => {
    if (gone.has(form)) return false;
    gone.add(form);
    used -= form.sizeBytes;
    return true;
  };
  const chosen: Candidate[] = [];
  for (const candidate of candidates) {
    if (used <= keepStorageBytes) break;
    if ('unpacked' in candidate && !drop(candidate.unpacked)) continue;
    chosen.push(candidate);
    if ('mount' in candidate) used -= candidate.mount.sizeBytes;
    if ('source' in candidate) used -= candidate.source.sizeBytes;
    if (!('step' in candidate)) continue;
    const { layer } = candidate.step.head;
    const left = (holders.get(layer) ?? 1) - 1;
    holders.set(layer, left);
    if (left > 0 || held.has(layer)) continue;
    used -= blobBytes(parts, layer);
    for (const form of unpacked) if (form.layer === layer) drop(form);
  }
  return chosen;
}

/** Blobs that the layers of some image are. */
function imageLayers(parts: StoreParts): ReadonlySet<Digest> {
  return new Set(
    parts.images.list().flatMap((record) => record.manifest.layers.map((layer) => layer.digest)),
  );
}
