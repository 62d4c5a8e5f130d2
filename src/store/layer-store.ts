import { setImmediate as nextTurn } from 'node:timers/promises';
import { chainIdOf, type DiffId } from '../oci/index.ts';
import { decompress } from './archive/decompress.ts';
import { blobNotFound, type FileBlobStore, verifyDigest } from './blob-store.ts';
import type { LayerCompressor } from './compress/layer-compressor.ts';
import type {
  ContentSource,
  LayerCompression,
  LayerEntry,
  LayerStore,
  Toc,
  Tree,
  TreeNode,
} from './contracts.ts';
import { LayerPacker } from './layer/pack.ts';
import { TocBuilder } from './layer/toc-builder.ts';
import { emptyTree } from './layer/tree.ts';
import type { TocFiles } from './toc-file.ts';
import type { UnpackedLayers } from './unpacked-layers.ts';

/** The event loop gets a turn after this many entries, and within large files after each MiB. */
const sliceEntries = 256;

export interface LayerStoreParts {
  readonly blobs: FileBlobStore;
  readonly tocs: TocFiles;
  readonly unpackedLayers: UnpackedLayers;
  readonly compressor: LayerCompressor;
}

/** Layers over the blob store. Promises: see `LayerStore`. */
export class FileLayerStore implements LayerStore {
  readonly #parts: LayerStoreParts;
  readonly #tocs = new Map<DiffId, Toc>();
  readonly #trees = new Map<string, Tree>();

  constructor(parts: LayerStoreParts) {
    this.#parts = parts;
  }

  toc(diffId: DiffId): Toc {
    const known = this.#tocs.get(diffId);
    if (known !== undefined) return known;
    if (!this.#parts.blobs.has(diffId)) throw blobNotFound(diffId);
    return this.#remember(this.#parts.tocs.read(diffId));
  }

  /** Sum of the sizes of a layer's files, without reading its whole table. Throws as `toc`. */
  contentSize(diffId: DiffId): number {
    return this.#tocs.get(diffId)?.contentSize ?? this.#parts.tocs.contentSize(diffId);
  }

  tree(diffIds: readonly DiffId[]): Tree {
    const chain = chainIdOf(diffIds);
    if (chain === null) return emptyTree();
    const known = this.#trees.get(chain);
    if (known !== undefined) return known;
    const tree = this.tree(diffIds.slice(0, -1)).apply(this.toc(diffIds[diffIds.length - 1] as DiffId));
    this.#trees.set(chain, tree);
    return tree;
  }

  async write(entries: Iterable<LayerEntry>): Promise<Toc> {
    const writer = this.#parts.blobs.create();
    const packer = new LayerPacker(writer);
    try {
      let count = 0;
      for (const entry of entries) {
        for (const _ of packer.addInSlices(entry)) await nextTurn();
        count += 1;
        if (count % sliceEntries === 0) await nextTurn();
      }
      packer.finish();
      const diffId = writer.commit().digest as DiffId;
      return this.#keep({ diffId, ...packer.toc });
    } finally {
      packer.close();
      writer.abort();
    }
  }

  async adopt(tar: AsyncIterable<Uint8Array>, expected?: DiffId): Promise<Toc> {
    // The builder hashes the tar: once is enough.
    const spool = this.#parts.blobs.spool({ isHashed: false });
    try {
      const builder = new TocBuilder();
      for await (const chunk of tar) {
        builder.write(chunk);
        spool.write(chunk);
      }
      // A tar that cannot be read must not become a layer, even if its digest is the wanted one.
      const toc = builder.finish();
      if (expected !== undefined) verifyDigest(expected, toc.diffId, toc.tarSize);
      this.#parts.blobs.publish(spool.finish(toc.diffId));
      return this.#keep(toc);
    } finally {
      spool.discard();
    }
  }

  adoptCompressed(bytes: AsyncIterable<Uint8Array>, expected: DiffId): Promise<Toc> {
    return this.adopt(decompress(bytes), expected);
  }

  compressed(diffId: DiffId, compression: LayerCompression): AsyncGenerator<Uint8Array> {
    return this.#parts.compressor.compress(diffId, compression);
  }

  unpacked(diffIds: readonly DiffId[]): Promise<readonly string[]> {
    return this.#parts.unpackedLayers.directories(diffIds, this);
  }

  content(node: TreeNode): ContentSource {
    if (node.content === undefined) return { kind: 'bytes', bytes: new Uint8Array() };
    return { kind: 'slice', path: this.#parts.blobs.path(node.content.layer), offset: node.content.offset };
  }

  #keep(toc: Toc): Toc {
    this.#parts.tocs.save(toc);
    return this.#remember(toc);
  }

  #remember(toc: Toc): Toc {
    this.#tocs.set(toc.diffId, toc);
    return toc;
  }
}
