import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import type { BuildOptions } from '../contracts.ts';
import { emptyTree } from '../copy/empty-tree.ts';
import { LayerTree } from '../copy/layer-tree.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import { LocalTree } from './local-tree.ts';

/** A build context in use. */
export interface OpenContext {
  /** Its files; nothing is read before the first call. */
  tree(): SourceTree;
  /** Saves what was learnt about its files. */
  close(): void;
}

/** @throws {CairnError} CONTEXT_NOT_FOUND */
export function openContext(options: BuildOptions, ignore: IgnoreRules | null): OpenContext {
  const { context, store } = options;
  if (context.kind === 'empty') {
    const tree = new LayerTree(emptyTree, store.layers);
    return { tree: () => tree, close: () => undefined };
  }
  const root = resolve(context.path);
  checkFolder(root, context.path);
  let opened: { readonly tree: LocalTree; readonly stats: ReturnType<typeof store.statCache> } | null = null;
  const open = () => {
    const stats = store.statCache(root);
    const modes = options.contextModes ?? 'normal';
    return { tree: new LocalTree({ root, ignore: ignore?.matcher ?? null, stats, modes }), stats };
  };
  return {
    tree: () => {
      opened ??= open();
      return opened.tree;
    },
    close: () => opened?.stats.save(),
  };
}

function checkFolder(root: string, shown: string): void {
  const stat = statSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return;
  throw new CairnError('CONTEXT_NOT_FOUND', {
    message: stat
      ? `the build context "${shown}" is not a directory`
      : `the build context "${shown}" does not exist`,
    help: 'give the folder that holds the files to copy, for example "."',
  });
}
