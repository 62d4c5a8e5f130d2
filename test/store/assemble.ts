import type { DiffId, ImageConfig } from '../../src/oci/index.ts';
import { assembleStore, type StoreParts } from '../../src/store/store-parts.ts';

/** A store's inside at `root`, which also passes for an open store where only the inside is needed. */
export function openParts(root: string): StoreParts & { readonly parts: StoreParts } {
  const parts = assembleStore({ root });
  return { ...parts, parts };
}

/** A config whose layers are `texts`, put as blobs (not real tars: nothing here unpacks them). */
export function putImage(parts: StoreParts, texts: readonly string[], extra: Partial<ImageConfig> = {}) {
  const diffIds = texts.map((text) => parts.blobs.put(text) as DiffId);
  return parts.images.put({
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: diffIds },
    ...extra,
  });
}
