import { resolve } from 'node:path';
import { FileBlobStore } from './blob-store.ts';
import { ImageDocumentReader } from './image-document.ts';
import { FileImageStore } from './image-store.ts';
import { IndexFile } from './index-file.ts';
import { FileLayerForms } from './layer-forms.ts';
import { FileStepCache } from './step-cache.ts';
import { withStoreErrors } from './store-error.ts';
import { readStoreFormat, storeFormat } from './store-format.ts';
import { type StorePaths, storePaths } from './store-paths.ts';
import { migrate, WorkSession } from './work-session.ts';

/** What an open store is made of: the inside that maintenance (gc, prune, fsck, archives) works on. */
export interface StoreParts {
  readonly paths: StorePaths;
  readonly session: WorkSession;
  readonly blobs: FileBlobStore;
  readonly index: IndexFile;
  readonly documents: ImageDocumentReader;
  readonly images: FileImageStore;
  readonly steps: FileStepCache;
  readonly forms: FileLayerForms;
}

/** An open store, as maintenance takes it. */
export interface WithParts {
  readonly parts: StoreParts;
}

export interface StoreOptions {
  /** Folder of the store; made at the first write. */
  readonly root: string;
  /** The caller's clock in milliseconds: notes when cache records were of use, and guards the stat cache. */
  readonly now?: () => number;
  /** Where overlay keeps its marks in unpacked layers: `user` for mounts with `userxattr`. Default: as sandboxes mount here. */
  readonly overlayXattrs?: 'trusted' | 'user';
}

/**
 * Puts a store's inside together; touches nothing but the format version.
 * @throws {CairnError} STORE_INVALID, STORE_TOO_NEW, STORE_NOT_ACCESSIBLE, STORE_BUSY
 */
export function assembleStore(options: StoreOptions): StoreParts {
  const paths = storePaths(resolve(options.root));
  withStoreErrors(paths.root, () => {
    const format = readStoreFormat(paths);
    if (format !== null && format < storeFormat) migrate(paths, format);
  });
  const session = new WorkSession(paths);
  const blobs = new FileBlobStore(paths, session);
  const index = new IndexFile(paths, session);
  const documents = new ImageDocumentReader(blobs);
  const images = new FileImageStore({ paths, session, blobs, index, documents });
  const steps = new FileStepCache(paths, session, options.now);
  const forms = new FileLayerForms(paths, session);
  return { paths, session, blobs, index, documents, images, steps, forms };
}
