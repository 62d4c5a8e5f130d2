import type { DiffId } from '../../oci/index.ts';
import type { ImageRecord } from '../../store/contracts.ts';
import type { OpenStore } from '../open-store.ts';

/** Sizes of layers as users see them: the sum of their files, each layer asked once. */
export class LayerSizes {
  readonly #store: OpenStore;
  readonly #known = new Map<DiffId, number>();

  constructor(store: OpenStore) {
    this.#store = store;
  }

  /** Bytes of a layer's files; 0 for a layer that is not in the store. */
  ofLayer(diffId: DiffId): number {
    const known = this.#known.get(diffId);
    if (known !== undefined) return known;
    const size = this.#store.blobs.has(diffId) ? this.#store.layers.contentSize(diffId) : 0;
    this.#known.set(diffId, size);
    return size;
  }

  /** Bytes of the files of all layers, also of those that later layers hide. */
  ofImage(record: ImageRecord): number {
    return record.config.rootfs.diff_ids.reduce((sum, diffId) => sum + this.ofLayer(diffId), 0);
  }
}
