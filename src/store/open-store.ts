import * as fs from 'node:fs';
import type { Digest } from '../oci/index.ts';
import { FileCacheMounts } from './cache-mounts.ts';
import { LayerCompressor } from './compress/layer-compressor.ts';
import type { Store } from './contracts.ts';
import type { FileImageStore } from './image-store.ts';
import { FileLayerStore } from './layer-store.ts';
import { FileStatCache } from './stat-cache.ts';
import type { FileStepCache } from './step-cache.ts';
import { withStoreErrors } from './store-error.ts';
import { assembleStore, type StoreOptions, type StoreParts } from './store-parts.ts';
import { TocFiles } from './toc-file.ts';
import { FileTriedSandboxes } from './tried-sandboxes.ts';
import { UnpackedLayers } from './unpacked-layers.ts';

/** A store on this machine: the contract, and what its maintenance and the archives need beyond it. */
export interface LocalStore extends Store {
  readonly images: FileImageStore;
  readonly layers: FileLayerStore;
  readonly steps: FileStepCache;
  statCache(context: string): FileStatCache;
  readonly parts: StoreParts;
  readonly tocs: TocFiles;
}

/**
 * Opens the store at `root`. Nothing is made, locked or loaded before the first write; reading needs no rights but
 * reading. `close` must be called: until then what was written or found through this object is leased.
 * @throws {CairnError} STORE_INVALID for a folder that holds something else, STORE_TOO_NEW, STORE_NOT_ACCESSIBLE
 */
export function openStore(options: StoreOptions): LocalStore {
  const parts = assembleStore(options);
  const { paths, session, blobs, images, steps, forms } = parts;
  const { overlayXattrs } = options;
  const unpackedLayers = new UnpackedLayers({
    paths,
    session,
    blobs,
    ...(overlayXattrs && { overlayXattrs }),
  });
  const tocs = new TocFiles(paths, session, blobs);
  const compressor = new LayerCompressor(blobs);
  const layers = new FileLayerStore({ blobs, tocs, unpackedLayers, compressor });
  const statCaches = new Map<string, FileStatCache>();
  const statCache = (context: string): FileStatCache => {
    const { now } = options;
    const cache =
      statCaches.get(context) ?? new FileStatCache(paths, session, { context, ...(now && { now }) });
    statCaches.set(context, cache);
    return cache;
  };
  return {
    root: paths.root,
    blobs,
    images,
    layers,
    steps,
    forms,
    cacheMounts: new FileCacheMounts({
      paths,
      session,
      blobs,
      layers,
      ...(options.now && { now: options.now }),
    }),
    triedSandboxes: new FileTriedSandboxes(paths, session),
    statCache,
    parts,
    tocs,
    scratch: () =>
      withStoreErrors(paths.root, () => {
        const path = session.temporary();
        fs.mkdirSync(path, { mode: 0o700 });
        return path;
      }),
    lease: (digest) => session.lease(closureOf(parts, digest)),
    close: () => {
      compressor.close();
      session.close();
    },
  };
}

/** A manifest's lease is one of all that it names; any other blob's is its own. */
function closureOf(parts: StoreParts, digest: Digest): readonly Digest[] {
  const isKnown = parts.index.read().some((entry) => entry.digest === digest);
  return isKnown && parts.blobs.has(digest) ? parts.documents.closure(digest) : [digest];
}
