import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../oci/index.ts';
import { listReadable } from './durable-file.ts';
import { rootfsName, type StorePaths } from './store-paths.ts';
import { treeBytes } from './tree-bytes.ts';

/** An unpacked form of a layer: a folder of rootfs/, made again when a RUN needs it. */
export interface UnpackedEntry {
  readonly name: string;
  readonly layer: Digest;
  /** Allocated bytes. */
  readonly sizeBytes: number;
  readonly madeMs: number;
}

/** The unpacked forms of these layers. */
export function listUnpacked(paths: StorePaths, layers: Iterable<Digest>): readonly UnpackedEntry[] {
  const known = new Map([...layers].map((layer) => [rootfsName(layer), layer]));
  return listReadable(paths.rootfs).flatMap((name) => {
    const layer = known.get(name.slice(0, 24));
    const stat = fs.lstatSync(join(paths.rootfs, name), { throwIfNoEntry: false });
    if (layer === undefined || stat === undefined) return [];
    return { name, layer, sizeBytes: treeBytes(join(paths.rootfs, name)), madeMs: stat.birthtimeMs };
  });
}
