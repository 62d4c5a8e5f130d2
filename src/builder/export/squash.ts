import type { DiffId, ImageConfig, ImageId } from '../../oci/index.ts';
import { type Store, withParents } from '../../store/index.ts';
import { formatTime } from '../epoch.ts';
import type { StageOrigin } from '../plan.ts';
import { diffTrees } from './diff-trees.ts';

/**
 * The image with everything on its base in one layer (`--squash`). As Docker's classic builder does it: the history stays, its
 * new entries without layers, and one more says what was merged.
 * @param origin - the image that the stage and those under it begin with.
 */
export async function squashImage(
  store: Store,
  config: ImageConfig,
  { origin, epoch }: { readonly origin: StageOrigin; readonly epoch: number },
): Promise<ImageConfig> {
  const diffIds = config.rootfs.diff_ids;
  const base = diffIds.slice(0, origin.layers);
  const merged = await mergeLayers(store, base, diffIds);
  const { id } = store.images.put(config);
  return {
    ...config,
    rootfs: { type: 'layers', diff_ids: [...base, merged] },
    history: [
      ...(config.history ?? []).map((entry, i) =>
        i < origin.history ? entry : { ...entry, empty_layer: true },
      ),
      { created: formatTime(epoch), comment: comment(id, origin.image) },
    ],
  };
}

async function mergeLayers(
  store: Store,
  base: readonly DiffId[],
  diffIds: readonly DiffId[],
): Promise<DiffId> {
  const below = store.layers.tree(base);
  const changes = diffTrees(below, store.layers.tree(diffIds), store.layers);
  return (await store.layers.write(withParents(changes, below))).diffId;
}

function comment(id: ImageId, base: ImageId | null): string {
  return base === null ? `create new from ${id}` : `merge ${id} to ${base}`;
}
