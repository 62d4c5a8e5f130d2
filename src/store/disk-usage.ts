import type { Digest } from '../oci/index.ts';
import { type CacheMountEntry, listCacheMounts } from './cache-mounts.ts';
import { blobBytes, livingLeases } from './collect-garbage.ts';
import type { ImageRecord } from './contracts.ts';
import { type FetchedSourceEntry, listFetchedSources } from './fetched-sources.ts';
import type { StoreParts, WithParts } from './store-parts.ts';
import { treeBytes } from './tree-bytes.ts';

/** A row of `system df`; bytes are those of the blobs on disk. */
export interface UsageSummary {
  readonly total: number;
  /** In use: images with containers (Cairn keeps none); cache records that share their layer with an image. */
  readonly active: number;
  readonly sizeBytes: number;
  readonly reclaimableBytes: number;
}

export interface ImageUsage {
  readonly record: ImageRecord;
  readonly sizeBytes: number;
  /** Part of the size that other images have too. */
  readonly sharedBytes: number;
  readonly uniqueBytes: number;
  /** A living process needs its manifest. */
  readonly isLeased: boolean;
}

export interface StepUsage {
  readonly key: Digest;
  readonly layer: Digest;
  readonly place: string;
  readonly createdAt: string;
  readonly lastUsedMs: number;
  readonly sizeBytes: number;
  /** True when an image holds the layer as well. */
  readonly isShared: boolean;
  /** The images that do: a name of each, or the ID of one without. */
  readonly images: readonly string[];
  /** A living process needs the layer. */
  readonly isLeased: boolean;
  /** The instruction; absent for a record by content. */
  readonly name?: string;
  /** Why it was made and not found. */
  readonly reason?: string;
  readonly durationMs: number;
}

export interface DiskUsage {
  readonly images: UsageSummary & { readonly items: readonly ImageUsage[] };
  /** Results of steps, the folders that RUN mounts as caches, and what was fetched from elsewhere. */
  readonly buildCache: UsageSummary & {
    readonly items: readonly StepUsage[];
    readonly mounts: readonly CacheMountEntry[];
    readonly sources: readonly FetchedSourceEntry[];
  };
  /** May be deleted at any time: unpacked layers, tables of contents, the stat cache. */
  readonly derived: { readonly rootfsBytes: number; readonly tocBytes: number; readonly statBytes: number };
  /** Work in progress, and what killed processes left. */
  readonly tmpBytes: number;
}

/** `system df`. Reads only; sizes of folders count allocated blocks as `du` does. */
export function diskUsage({ parts }: WithParts): DiskUsage {
  const { paths } = parts;
  return {
    images: imageUsage(parts),
    buildCache: cacheUsage(parts),
    derived: {
      rootfsBytes: treeBytes(paths.rootfs),
      tocBytes: treeBytes(paths.toc),
      statBytes: treeBytes(paths.stat),
    },
    tmpBytes: treeBytes(paths.tmp),
  };
}

function imageUsage(parts: StoreParts): DiskUsage['images'] {
  const records = parts.images.list();
  const leased = livingLeases(parts);
  const holders = new Map<Digest, number>();
  for (const record of records)
    for (const layer of distinctLayers(record)) holders.set(layer, (holders.get(layer) ?? 0) + 1);
  const items = records.map((record) => {
    const layers = distinctLayers(record);
    const sizeBytes = sum(layers.map((layer) => blobBytes(parts, layer)));
    const sharedBytes = sum(
      layers.filter((layer) => (holders.get(layer) ?? 0) > 1).map((layer) => blobBytes(parts, layer)),
    );
    const isLeased = leased.has(record.manifestDigest);
    return { record, sizeBytes, sharedBytes, uniqueBytes: sizeBytes - sharedBytes, isLeased };
  });
  const sizeBytes = sum([...holders.keys()].map((layer) => blobBytes(parts, layer)));
  // Active is what a container uses, and none outlives its command here: `image prune -a` can take all, as Docker counts.
  return {
    total: records.length,
    active: 0,
    sizeBytes,
    reclaimableBytes: sizeBytes,
    items,
  };
}

function cacheUsage(parts: StoreParts): DiskUsage['buildCache'] {
  const items = stepUsage({ parts });
  const layers = [...new Set(items.map((item) => item.layer))];
  const unshared = [...new Set(items.filter((item) => !item.isShared).map((item) => item.layer))];
  const size = (some: readonly Digest[]) => sum(some.map((layer) => blobBytes(parts, layer)));
  const mounts = listCacheMounts(parts.paths);
  const sources = listFetchedSources(parts.paths);
  const folders = [...mounts, ...sources];
  const idle = folders.filter((folder) => !folder.inUse);
  const bytes = (some: readonly { readonly sizeBytes: number }[]) =>
    sum(some.map(({ sizeBytes }) => sizeBytes));
  return {
    total: items.length + folders.length,
    active: items.filter((item) => item.isShared).length + folders.length - idle.length,
    sizeBytes: size(layers) + bytes(folders),
    reclaimableBytes: size(unshared) + bytes(idle),
    items,
    mounts,
    sources,
  };
}

/** Every cache record, with what keeps it. */
export function stepUsage({ parts }: WithParts): readonly StepUsage[] {
  const leased = livingLeases(parts);
  const holders = new Map<Digest, string[]>();
  for (const record of parts.images.list())
    for (const layer of distinctLayers(record))
      holders.set(layer, [...(holders.get(layer) ?? []), record.tags[0] ?? record.id]);
  return parts.steps.entries().map(({ head, lastUsedMs }) => {
    const { layer, inputs: _, ...rest } = head;
    const images = holders.get(layer) ?? [];
    return {
      ...rest,
      layer,
      lastUsedMs,
      sizeBytes: blobBytes(parts, layer),
      isShared: images.length > 0,
      images,
      isLeased: leased.has(layer),
    };
  });
}

function distinctLayers(record: ImageRecord): readonly Digest[] {
  return [...new Set(record.manifest.layers.map((layer) => layer.digest))];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
