import type { Platform } from '../../oci/index.ts';
import { toBytes } from '../../sys/index.ts';
import { copyPath } from '../copy/copy-files.ts';
import { emptyTree } from '../copy/empty-tree.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import { TreeEditor } from '../copy/tree-editor.ts';
import type { BuildSession } from '../session.ts';
import { scratchState, withOrigin } from '../stage-state.ts';
import { storeEntries } from './copy.ts';
import { notCached, type StepResult } from './layer-step.ts';

/** FROM a named context that is files: they are the root file system, in one layer without history (row K08). */
export async function contextState(
  session: BuildSession,
  tree: SourceTree,
  platform: Platform,
  name: string,
): Promise<StepResult> {
  const { epoch, preserveTimes } = session;
  const editor = new TreeEditor(emptyTree, epoch);
  const mtime = preserveTimes ? (node: { readonly mtime: number }) => node.mtime : () => epoch;
  copyPath(editor, tree, toBytes(''), toBytes('/'), { mtime, contentsOnly: true });
  const { layer, reused } = await storeEntries(session, editor.entries(), emptyTree, { skipCache: false });
  const reason = 'no layer with the same files is known';
  if (!reused && session.cacheMode === 'require') throw notCached(`FROM ${name}`, reason);
  const state = withOrigin({ ...scratchState(platform), layers: [layer] }, `FROM ${name}`);
  return { state, cached: reused, ...(reused ? {} : { note: reason }) };
}
