import { CairnError } from '../../errors/index.ts';
import { chainIdOf, type DiffId, type Digest } from '../../oci/index.ts';
import type { Word } from '../../parser/index.ts';
import type { LayerEntry } from '../../store/contracts.ts';
import { type ByteString, toBytes, toText } from '../../sys/index.ts';
import { cacheFormat, keyOf } from '../cache-key.ts';
import { copyPath } from '../copy/copy-files.ts';
import { emptyTree } from '../copy/empty-tree.ts';
import { cleanPath, joinPath, resolvePath } from '../copy/resolve-path.ts';
import type { SourceNode, SourceTree } from '../copy/source-tree.ts';
import { TreeEditor } from '../copy/tree-editor.ts';
import { type InputFile, inputOfEntry } from '../explain/input-list.ts';
import type { StageSource } from '../plan.ts';
import type { BuildSession } from '../session.ts';
import { entryValues, storeEntries } from '../steps/copy.ts';

/** Where the files of a mount come from. */
export interface MountSource {
  /** Stage, image or named context; undefined for the build context. */
  readonly from: StageSource | undefined;
  /** As in the Dockerfile, for messages. */
  readonly fromName: string | undefined;
  /** Path below the source's root, expanded; '' for the root. */
  readonly path: string;
  readonly word: Word;
}

/** Files to mount: named by all that a command can see of them, unpacked only when one runs. */
export interface MountContent {
  readonly key: Digest;
  /** What it is made of, for people, and where that is; absent for a stage or an image as a whole. */
  readonly files?: () => readonly InputFile[];
  readonly path?: string;
  /** As one layer that has them at `content`, leased. */
  layer(): Promise<DiffId>;
  /** As directories of an overlay, base first, and the path in their union. */
  unpacked(): Promise<{ readonly lowerDirs: readonly string[]; readonly path: string }>;
}

/** Name that packed files have in their layer, be they a folder or a single file. */
const contentName = 'content';

/**
 * Looks at the files that a mount shows. Only what lies at or below the path counts (row M12): other changes of the context or
 * stage change nothing.
 * @throws {CairnError} MOUNT_SOURCE_NOT_FOUND with the place
 */
export async function mountContent(session: BuildSession, source: MountSource): Promise<MountContent> {
  const layers = isContext(source) ? null : await session.sourceLayers(source.from as StageSource);
  const path = cleanPath(toBytes(source.path));
  if (layers !== null && path === '') return wholeStack(session, layers);
  const { from } = source;
  const tree = from === undefined ? session.context() : await session.sourceTree(from);
  const entries = contentEntries(session, tree, path, source);
  const key = keyOf({ format: cacheFormat, kind: 'mount', entries: entryValues(entries) });
  const layer = async () =>
    // That steps are to be executed again is no reason to pack the same files again.
    (await storeEntries(session, entries, emptyTree, { skipCache: false })).layer;
  const unpacked = async () => ({
    lowerDirs: await session.store.layers.unpacked([await layer()]),
    path: contentName,
  });
  const shown = (entry: ByteString) => joinPath(path, entry.slice(contentName.length + 1));
  return { key, path, files: () => entries.map((entry) => inputOfEntry(entry, shown)), layer, unpacked };
}

/** Files of the build context or of a named one: they have no layers. */
function isContext({ from }: MountSource): boolean {
  return from === undefined || from.kind === 'context';
}

/** A stage or an image from its root is mounted as it is, nothing is packed for it. */
function wholeStack(session: BuildSession, layers: readonly DiffId[]): MountContent {
  const { store } = session;
  return {
    key: keyOf({ format: cacheFormat, kind: 'mount-layers', chain: chainIdOf(layers) }),
    layer: async () => {
      await store.layers.prepare(layers);
      const tree = session.treeOf(layers);
      const entries = copyEntries(session, tree, '' as ByteString, { times: 'kept', rootMode: 0o755 });
      return (await storeEntries(session, entries, emptyTree, { skipCache: false })).layer;
    },
    unpacked: async () => ({ lowerDirs: await store.layers.unpacked(layers), path: '' }),
  };
}

function contentEntries(
  session: BuildSession,
  tree: SourceTree,
  path: ByteString,
  source: MountSource,
): readonly LayerEntry[] {
  const found = resolvePath(tree, path, { followLast: true });
  if (tree.get(found) === undefined) throw notFound(session, source);
  const fromContext = isContext(source);
  return copyEntries(session, tree, found, {
    times: fromContext ? 'epoch' : 'kept',
    // Whatever the folder of the context has on the host: it is made by the builder (measured with BuildKit).
    ...(fromContext && found === '' ? { rootMode: 0o755 } : {}),
  });
}

/** A copy of `path`, at `content`; unlike COPY's, its top folder has the attributes of the source. */
function copyEntries(
  session: BuildSession,
  tree: SourceTree,
  path: ByteString,
  { times, rootMode }: { readonly times: 'epoch' | 'kept'; readonly rootMode?: number },
): readonly LayerEntry[] {
  const editor = new TreeEditor(emptyTree, session.epoch);
  const mtime = (node: SourceNode): number => {
    if (session.preserveTimes) return node.mtime;
    return times === 'epoch' ? session.epoch : Math.min(node.mtime, session.epoch);
  };
  copyPath(editor, tree, path, `/${contentName}` as ByteString, { mtime, contentsOnly: true });
  const top = tree.get(path) as SourceNode;
  if (top.type === 'dir') {
    const { mode, uid, gid, xattrs } = top;
    editor.put(contentName as ByteString, {
      type: 'dir',
      mode: rootMode ?? mode,
      uid,
      gid,
      mtime: mtime(top),
      ...(xattrs ? { xattrs } : {}),
    });
  }
  return editor.entries();
}

/** Says why, when an ignore file is the reason. */
function notFound(session: BuildSession, { from, fromName, path, word }: MountSource): CairnError {
  if (from !== undefined)
    return new CairnError('MOUNT_SOURCE_NOT_FOUND', {
      message: `"${path}" is not in "${fromName}"`,
      at: word.span,
      help: 'check the path and that a step of that stage makes it',
    });
  const relative = toText(cleanPath(toBytes(path)));
  const rule = session.ignore?.matcher.explain(relative);
  if (rule?.excluded && rule.by) {
    const line = session.ignore?.lineOf(rule.by);
    return new CairnError('MOUNT_SOURCE_NOT_FOUND', {
      message: `"${path}" is not in the build context: an ignore file excludes it`,
      at: word.span,
      notes: [{ message: `"${rule.by.text}" excludes it`, ...(line ? { at: line } : {}) }],
      help: `remove that pattern, or add "!${relative}" below it`,
    });
  }
  return new CairnError('MOUNT_SOURCE_NOT_FOUND', {
    message: `"${path}" is not in the build context`,
    at: word.span,
    help: 'source is relative to the build context; check the spelling',
  });
}
