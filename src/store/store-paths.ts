import { join } from 'node:path';
import { type Digest, hexOf } from '../oci/index.ts';

/** Where everything lies below a store's root (DESIGN section 5). Pure: nothing is touched. */
export interface StorePaths {
  readonly root: string;
  /** The store's own format version (store-format.ts). */
  readonly format: string;
  /** image-spec image-layout.md: these three are the truth, readable by any OCI tool. */
  readonly layout: string;
  readonly index: string;
  readonly blobs: string;
  /** Derived from blobs; may be deleted at any time. */
  readonly toc: string;
  readonly rootfs: string;
  readonly steps: string;
  /** Which compressed blobs are which layer (layer-forms.ts). */
  readonly forms: string;
  /** One list of cache keys for each place of a build. */
  readonly places: string;
  /** What the records of COPY, ADD and mounts had as input files, to explain a miss. */
  readonly inputs: string;
  readonly stat: string;
  /** Cache mounts of RUN: a folder for each (cache-mounts.ts). */
  readonly mounts: string;
  /** What builds fetched from elsewhere (fetched-sources.ts). */
  readonly sources: string;
  /** Sandboxes that were tried out (tried-sandboxes.ts). */
  readonly sandboxes: string;
  /** One folder for each process at work, named as its lease. */
  readonly tmp: string;
  readonly leases: string;
  readonly locks: string;
  readonly logs: string;
}

/** @param root - absolute path. */
export function storePaths(root: string): StorePaths {
  return {
    root,
    format: join(root, 'cairn-store.json'),
    layout: join(root, 'oci-layout'),
    index: join(root, 'index.json'),
    blobs: join(root, 'blobs', 'sha256'),
    toc: join(root, 'toc'),
    rootfs: join(root, 'rootfs'),
    steps: join(root, 'cache', 'steps'),
    forms: join(root, 'cache', 'forms'),
    places: join(root, 'cache', 'places'),
    inputs: join(root, 'cache', 'inputs'),
    stat: join(root, 'cache', 'stat'),
    mounts: join(root, 'cache', 'mounts'),
    sources: join(root, 'cache', 'sources'),
    sandboxes: join(root, 'cache', 'sandboxes'),
    tmp: join(root, 'tmp'),
    leases: join(root, 'leases'),
    locks: join(root, 'locks'),
    logs: join(root, 'logs'),
  };
}

/** The folders of a store, in the order in which they are made. */
export function storeFolders(paths: StorePaths): readonly string[] {
  const { blobs, toc, rootfs, steps, forms, places, inputs, stat, mounts, tmp, leases, locks, logs } = paths;
  return [tmp, locks, leases, blobs, toc, rootfs, steps, forms, places, inputs, stat, mounts, logs];
}

/** File of a blob. */
export function blobPath(paths: StorePaths, digest: Digest): string {
  return `${paths.blobs}/${hexOf(digest)}`;
}

/** Name of a layer's unpacked folder in rootfs/: short, since overlay's options hold one for each layer. */
export function rootfsName(diffId: Digest): string {
  return hexOf(diffId).slice(0, 24);
}
