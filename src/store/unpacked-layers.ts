import * as fs from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CairnError } from '../errors/index.ts';
import { chainIdOf, type DiffId, hexOf } from '../oci/index.ts';
import { isUserNamespace, syncFileSystem } from '../sys/index.ts';
import { blobNotFound, type FileBlobStore } from './blob-store.ts';
import type { ContentSource, Toc, Tree, TreeNode } from './contracts.ts';
import { needsParent, Unpacker, type UnpackOptions } from './layer/unpack.ts';
import { removeTree } from './remove-tree.ts';
import { isSystemError, withStoreErrors } from './store-error.ts';
import { rootfsName, type StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

/** Of layers that were unpacked in a user namespace. */
const userSuffix = '-user';

const sliceEntries = 256;
const sliceBytes = 16 << 20;

/** How the layer store looks at layers; given by it, since it remembers tables and trees. */
export interface LayerViews {
  toc(diffId: DiffId): Toc;
  tree(diffIds: readonly DiffId[]): Tree;
  content(node: TreeNode): ContentSource;
}

export interface UnpackedLayersOptions {
  readonly paths: StorePaths;
  readonly session: WorkSession;
  readonly blobs: FileBlobStore;
  /** Where overlay finds its marks: `user` for mounts with `userxattr`. Default: as sandboxes mount here. */
  readonly overlayXattrs?: 'trusted' | 'user';
}

/**
 * rootfs/: each layer as a directory for overlay, unpacked once ever. The name is 24 digits of the diffID; a layer that
 * looks different on another parent (needsParent) has 12 digits of the parent's chainID behind it. A directory has its
 * name only when it is complete and on disk. It is kept as long as the layer's blob, which is leased here. What was unpacked in
 * a user namespace has another name: marks and owners in it are not as root makes them.
 */
export class UnpackedLayers {
  readonly #options: UnpackedLayersOptions;
  /** In this process, concurrent steps wait for one unpacking. */
  readonly #running = new Map<string, Promise<string>>();

  constructor(options: UnpackedLayersOptions) {
    this.#options = options;
  }

  /** See `LayerStore.unpacked`. @throws {CairnError} BLOB_NOT_FOUND, UNPACK_NOT_PERMITTED, UNPACK_FAILED, STORE_FULL */
  async directories(diffIds: readonly DiffId[], views: LayerViews): Promise<readonly string[]> {
    const { session, blobs } = this.#options;
    session.open();
    if (!session.lease(diffIds))
      throw blobNotFound(diffIds.find((diffId) => !blobs.has(diffId)) ?? (diffIds[0] as DiffId));
    const result: string[] = [];
    for (let count = 1; count <= diffIds.length; count++) {
      if (views.toc(diffIds[count - 1] as DiffId).entries.length === 0) continue;
      result.push(await this.#directory(diffIds.slice(0, count), views));
    }
    // Overlay refuses a directory that it has already. A layer that occurs again hides all that its first occurrence
    // has, so only the topmost one counts.
    return result.filter((path, index) => result.lastIndexOf(path) === index);
  }

  /** The directory of the last of `diffIds`, on top of the others. */
  async #directory(diffIds: readonly DiffId[], views: LayerViews): Promise<string> {
    const { paths } = this.#options;
    const diffId = diffIds[diffIds.length - 1] as DiffId;
    const suffix = this.#overlayXattrs() === 'user' ? userSuffix : '';
    const parents = diffIds.slice(0, -1);
    const isOwn = !needsParent(views.toc(diffId), () => views.tree(parents));
    const parentName = isOwn ? '' : `-${parentDigits(parents)}`;
    const path = join(paths.rootfs, `${rootfsName(diffId)}${parentName}${suffix}`);
    if (fs.existsSync(path)) return path;
    const running = this.#running.get(path) ?? this.#unpack(path, diffId, isOwn ? null : parents, views);
    this.#running.set(path, running);
    try {
      return await running;
    } finally {
      this.#running.delete(path);
    }
  }

  #overlayXattrs(): 'trusted' | 'user' {
    return this.#options.overlayXattrs ?? (isUserNamespace() ? 'user' : 'trusted');
  }

  async #unpack(
    path: string,
    diffId: DiffId,
    parents: readonly DiffId[] | null,
    views: LayerViews,
  ): Promise<string> {
    const { paths, session, blobs } = this.#options;
    const target = session.temporary();
    try {
      fs.mkdirSync(target, { mode: 0o700 });
      await unpackInSlices(views.toc(diffId), {
        target,
        tarPath: blobs.path(diffId),
        overlayXattrs: this.#overlayXattrs(),
        ...(parents === null
          ? {}
          : { parent: { tree: views.tree(parents), content: (node: TreeNode) => views.content(node) } }),
      });
      // A rename may reach the disk before the files do; after a power cut a half directory would pass for a whole one.
      syncFileSystem(target);
      withStoreErrors(paths.root, () => putInPlace(target, path));
      return path;
    } catch (error) {
      if (error instanceof CairnError && isSystemError(error.cause, 'ENOSPC', 'EDQUOT'))
        return withStoreErrors(paths.root, () => {
          throw error.cause;
        });
      throw error;
    } finally {
      removeTree(target);
    }
  }
}

/** 12 digits that name what a layer lies on; zeros for nothing. */
function parentDigits(parents: readonly DiffId[]): string {
  const chain = chainIdOf(parents);
  return chain === null ? '0'.repeat(12) : hexOf(chain).slice(0, 12);
}

/** Another process may have been faster: its directory is as good, and this one is removed by the caller. */
function putInPlace(target: string, path: string): void {
  try {
    fs.renameSync(target, path);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST', 'ENOTEMPTY')) throw error;
  }
}

/** Unpacks a layer, giving the event loop a turn now and then. */
export async function unpackInSlices(toc: Toc, options: UnpackOptions): Promise<void> {
  const unpacker = new Unpacker(options);
  try {
    let count = 0;
    let bytes = 0;
    for (const entry of toc.entries) {
      unpacker.add(entry);
      count += 1;
      bytes += entry.size;
      if (count < sliceEntries && bytes < sliceBytes) continue;
      await nextTurn();
      count = 0;
      bytes = 0;
    }
    unpacker.finish();
  } finally {
    unpacker.close();
  }
}
