import type { ByteString } from '../../sys/index.ts';
import type { LayerEntry, Tree } from '../contracts.ts';
import { isBelow, joinPath, parentOf } from './path-order.ts';

/**
 * Adds each directory above an entry that is not an entry itself, as the parent tree has it (docs/layer-format.md,
 * "Parents": Docker's overlay2 and podman give a directory that a layer leaves out mode 0755 and owner root,
 * whatever the layers below say). What is missing there too becomes 0755, owned by root, of time 0.
 * @param entries - sorted, and so is the result.
 */
export function* withParents(entries: Iterable<LayerEntry>, parent: Tree): Generator<LayerEntry> {
  /** The directory of the last entry, and so everything above it, has been given. */
  let open = '' as ByteString;
  for (const entry of entries) {
    const folder = parentOf(entry.path);
    while (open !== folder && !isBelow(folder, open)) open = parentOf(open);
    for (const name of missing(folder, open)) {
      open = joinPath(open, name);
      yield folderEntry(open, parent);
    }
    if (entry.type === 'dir') open = entry.path;
    yield entry;
  }
}

function missing(folder: ByteString, open: ByteString): ByteString[] {
  if (folder === open) return [];
  return folder.slice(open === '' ? 0 : open.length + 1).split('/') as ByteString[];
}

function folderEntry(path: ByteString, parent: Tree): LayerEntry {
  const node = parent.get(path);
  if (node?.type !== 'dir') return { type: 'dir', path, mode: 0o755, uid: 0, gid: 0, mtime: 0 };
  const { mode, uid, gid, mtime, xattrs } = node;
  return { type: 'dir', path, mode, uid, gid, mtime, ...(xattrs === undefined ? {} : { xattrs }) };
}
