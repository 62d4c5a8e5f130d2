import { setImmediate as nextTurn } from 'node:timers/promises';
import { CairnError } from '../errors/index.ts';
import { chainIdOf, type DiffId } from '../oci/index.ts';
import { decompress } from './archive/decompress.ts';
import { blobNotFound, type FileBlobStore, verifyDigest } from './blob-store.ts';
import type { LayerCompressor } from './compress/layer-compressor.ts';
import type {
  ContentSource,
  LayerCompression,
  LayerEntry,
  LayerOffer,
  LayerStore,
  Toc,
  Tree,
  TreeNode,
} from './contracts.ts';
import { LayerPacker } from './layer/pack.ts';
import { TocBuilder } from './layer/toc-builder.ts';
import { encodeToc } from './layer/toc-codec.ts';
import { emptyTree } from './layer/tree.ts';
import type { TocFiles } from './toc-file.ts';
import type { UnpackedLayers } from './unpacked-layers.ts';

/** The event loop gets a turn after this many entries, and within large files after each MiB. */
const sliceEntries = 256;
/** Layers that are fetched at once. */
const fetchesAtOnce = 3;

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
  /** By the paths that the blobs will have: that is how entries name their content. */
  readonly #offers = new Map<string, { readonly diffId: DiffId; readonly offer: LayerOffer }>();
  readonly #fetching = new Map<DiffId, Promise<void>>();

  constructor(parts: LayerStoreParts) {
    this.#parts = parts;
  }

  offer(diffId: DiffId, offer: LayerOffer): void {
    const { blobs } = this.#parts;
    if (!blobs.has(diffId)) this.#offers.set(blobs.path(diffId), { diffId, offer });
  }

  isRemote(diffId: DiffId): boolean {
    return this.#offerOf(diffId) !== null;
  }

  async prepare(diffIds: readonly DiffId[]): Promise<void> {
    for (const diffId of new Set(diffIds)) {
      const offer = this.#offerOf(diffId);
      if (offer === null || this.#tocs.has(diffId)) continue;
      const claimed = await offer.table();
      if (claimed?.diffId === diffId) this.#remember(claimed);
      else await this.fetch([diffId]);
    }
  }

  async fetch(diffIds: readonly DiffId[]): Promise<void> {
    const missing = [...new Set(diffIds)].filter((diffId) => this.isRemote(diffId));
    let next = 0;
    const work = async () => {
      while (next < missing.length) await this.#fetchOnce(missing[next++] as DiffId);
    };
    const workers = Array.from({ length: Math.min(fetchesAtOnce, missing.length) }, work);
    const results = await Promise.allSettled(workers);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
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
        if (this.#offers.size > 0) await this.#fetchContent(entry);
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

  async *compressed(diffId: DiffId, compression: LayerCompression): AsyncGenerator<Uint8Array> {
    await this.fetch([diffId]);
    yield* this.#parts.compressor.compress(diffId, compression);
  }

  async unpacked(diffIds: readonly DiffId[]): Promise<readonly string[]> {
    await this.fetch(diffIds);
    return this.#parts.unpackedLayers.directories(diffIds, this);
  }

  content(node: TreeNode): ContentSource {
    if (node.content === undefined) return { kind: 'bytes', bytes: new Uint8Array() };
    return { kind: 'slice', path: this.#parts.blobs.path(node.content.layer), offset: node.content.offset };
  }

  #offerOf(diffId: DiffId): LayerOffer | null {
    const { blobs } = this.#parts;
    const path = blobs.path(diffId);
    const known = this.#offers.get(path);
    if (known === undefined) return null;
    if (!blobs.has(diffId)) return known.offer;
    this.#offers.delete(path);
    return null;
  }

  #fetchOnce(diffId: DiffId): Promise<void> {
    const offer = this.#offerOf(diffId);
    if (offer === null) return Promise.resolve();
    const running = this.#fetching.get(diffId) ?? this.#fetchOffered(diffId, offer);
    this.#fetching.set(diffId, running);
    return running.finally(() => this.#fetching.delete(diffId));
  }

  async #fetchOffered(diffId: DiffId, offer: LayerOffer): Promise<void> {
    const claimed = this.#tocs.get(diffId);
    try {
      const toc = await this.adoptCompressed(offer.fetch(), diffId);
      this.#offers.delete(this.#parts.blobs.path(diffId));
      // Steps may have been decided on what the table claimed: they must not stand.
      if (claimed !== undefined && encodeToc(claimed) !== encodeToc(toc)) throw wrongTable(diffId);
    } catch (error) {
      this.#offers.delete(this.#parts.blobs.path(diffId));
      if (!this.#parts.blobs.has(diffId)) this.#tocs.delete(diffId);
      this.#trees.clear();
      throw offer.lost(error);
    }
  }

  /** A file's bytes may lie in a layer that is not here yet. */
  async #fetchContent(entry: LayerEntry): Promise<void> {
    if (entry.type !== 'file' || entry.source.kind !== 'slice') return;
    const known = this.#offers.get(entry.source.path);
    if (known !== undefined) await this.fetch([known.diffId]);
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

function wrongTable(diffId: DiffId): CairnError {
  return new CairnError('DIGEST_MISMATCH', {
    message: `the table of contents that came with layer ${diffId} is not the one of its bytes`,
    help: 'whoever wrote it is broken or lies: do not use that cache',
  });
}
