import type { Digest } from '../../oci/index.ts';
import type { ContentSource, LayerStore, Tree } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';
import type { SourceNode, SourceTree } from './source-tree.ts';

/** The merged file system of a stage or an image, as something to copy from. Nothing is unpacked. */
export class LayerTree implements SourceTree {
  readonly #tree: Tree;
  readonly #layers: LayerStore;

  constructor(tree: Tree, layers: LayerStore) {
    this.#tree = tree;
    this.#layers = layers;
  }

  get(path: ByteString): SourceNode | undefined {
    return this.#tree.get(path);
  }

  list(path: ByteString): readonly ByteString[] {
    return this.#tree.list(path);
  }

  digest(path: ByteString): Digest {
    const digest = this.#tree.get(path)?.digest;
    if (digest === undefined) throw new Error(`no content at ${path}`);
    return digest;
  }

  content(path: ByteString): ContentSource {
    const node = this.#tree.get(path);
    if (node === undefined) throw new Error(`no node at ${path}`);
    return this.#layers.content(node);
  }
}
