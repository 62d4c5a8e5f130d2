import * as fs from 'node:fs';
import { type Digest, hexOf, parseReference } from '../oci/index.ts';
import { type CacheMountEntry, listCacheMounts, removeCacheMount } from './cache-mounts.ts';
import { blobBytes, sweep } from './collect-garbage.ts';
import type { ImageRecord } from './contracts.ts';
import { listIfExists } from './durable-file.ts';
import { type FetchedSourceEntry, listFetchedSources, removeFetchedSource } from './fetched-sources.ts';
import { type RemovalReport, removeNames } from './remove-image.ts';
import { removeTree } from './remove-tree.ts';
import type { StepEntry } from './step-cache.ts';
import { withStoreErrors } from './store-error.ts';
import type { StoreParts, WithParts } from './store-parts.ts';

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
  /** Stops when the layers that only the cache holds take no more than this; least recently used go first. */
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
  readonly reclaimedBytes: number;
}

/**
 * `builder prune`: removes cache records, and cache mounts and fetched sources that no build is using, oldest use first, then the layers that
 * nothing holds any more.
 */
export function pruneCache({ parts }: WithParts, options: CachePruneOptions = {}): CachePruneReport {
  if (!fs.existsSync(parts.paths.format)) return { steps: [], mounts: [], sources: [], reclaimedBytes: 0 };
  return withStoreErrors(parts.paths.root, () => {
    const trash = parts.session.temporary();
    fs.mkdirSync(trash, { mode: 0o700 });
    const report = parts.session.exclusive(() => {
      const chosen = choose(parts, options);
      for (const entry of chosen.steps) fs.rmSync(entry.path, { force: true });
      const mounts = chosen.mounts.filter((entry) => removeCacheMount(parts.paths, entry, trash));
      const sources = chosen.sources.filter((entry) => removeFetchedSource(parts.paths, entry, trash));
      const swept = sweep(parts, trash);
      const sizes = new Map(swept.blobs.map((blob) => [blob.digest, blob.sizeBytes]));
      const steps = chosen.steps.map(({ head, lastUsedMs }) => {
        const sizeBytes = sizes.get(head.layer) ?? 0;
        sizes.delete(head.layer);
        return { key: head.key, layer: head.layer, place: head.place, sizeBytes, lastUsedMs };
      });
      const folderBytes = [...mounts, ...sources].reduce((sum, entry) => sum + entry.sizeBytes, 0);
      return { steps, mounts, sources, reclaimedBytes: swept.reclaimedBytes + folderBytes };
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
);

interface Chosen {
  readonly steps: readonly StepEntry[];
  readonly mounts: readonly CacheMountEntry[];
  readonly sources: readonly FetchedSourceEntry[];
}

function choose(parts: StoreParts, options: CachePruneOptions): Chosen {
  const held = imageLayers(parts);
  const { untilMs = Number.POSITIVE_INFINITY, keepStorageBytes } = options;
  const entries = parts.steps.entries();
  const mounts = listCacheMounts(parts.paths);
  const sources = listFetchedSources(parts.paths);
  const candidates: Candidate[] = [
    ...entries
      .filter(({ head }) => options.all || !held.has(head.layer))
      .map((step) => ({ step, lastUsedMs: step.lastUsedMs, name: hexOf(step.head.key) })),
    ...mounts
      .filter((mount) => !mount.inUse)
      .map((mount) => ({ mount, lastUsedMs: mount.lastUsedMs, name: mount.name })),
    ...sources
      .filter((source) => !source.inUse)
      .map((source) => ({ source, lastUsedMs: source.lastUsedMs, name: source.name })),
  ]
    .filter(({ lastUsedMs }) => lastUsedMs <= untilMs)
    .sort((a, b) => a.lastUsedMs - b.lastUsedMs || (a.name < b.name ? -1 : 1));
  const count =
    keepStorageBytes === undefined
      ? candidates.length
      : countToFit(parts, { entries, folders: [...mounts, ...sources], candidates, held, keepStorageBytes });
  const chosen = candidates.slice(0, count);
  return {
    steps: chosen.flatMap((candidate) => ('step' in candidate ? [candidate.step] : [])),
    mounts: chosen.flatMap((candidate) => ('mount' in candidate ? [candidate.mount] : [])),
    sources: chosen.flatMap((candidate) => ('source' in candidate ? [candidate.source] : [])),
  };
}

interface Fit {
  readonly entries: readonly StepEntry[];
  readonly folders: readonly { readonly sizeBytes: number }[];
  readonly candidates: readonly Candidate[];
  readonly held: ReadonlySet<Digest>;
  readonly keepStorageBytes: number;
}

/** How many candidates must go, from the front. A layer's bytes count until the last record that holds it is gone. */
function countToFit(
  parts: StoreParts,
  { entries, folders, candidates, held, keepStorageBytes }: Fit,
): number {
  const holders = new Map<Digest, number>();
  for (const { head } of entries) holders.set(head.layer, (holders.get(head.layer) ?? 0) + 1);
  let used = folders.reduce((sum, folder) => sum + folder.sizeBytes, 0);
  for (const layer of holders.keys()) if (!held.has(layer)) used += blobBytes(parts, layer);
  let count = 0;
  for (const candidate of candidates) {
    if (used <= keepStorageBytes) break;
    count += 1;
    if (!('step' in candidate)) {
      used -= ('mount' in candidate ? candidate.mount : candidate.source).sizeBytes;
      continue;
    }
    const { layer } = candidate.step.head;
    const left = (holders.get(layer) ?? 1) - 1;
    holders.set(layer, left);
    if (left === 0 && !held.has(layer)) used -= blobBytes(parts, layer);
  }
  return count;
}

/** Blobs that the layers of some image are. */
export function imageLayers(parts: StoreParts): ReadonlySet<Digest> {
  return new Set(
    parts.images.list().flatMap((record) => record.manifest.layers.map((layer) => layer.digest)),
  );
}
