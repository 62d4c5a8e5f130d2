import { CairnError } from '../../errors/index.ts';
import { type ByteString, toText } from '../../sys/index.ts';
import { hasWildcard, matchPath } from '../context/path-match.ts';
import type { MatchState, PatternMatcher } from '../context/pattern-matcher.ts';
import type { ModeChange } from './file-mode.ts';
import { baseName, cleanPath, components, joinPath, parentOf, resolvePath } from './resolve-path.ts';
import type { SourceNode, SourceTree } from './source-tree.ts';
import type { Ownership, TreeEditor } from './tree-editor.ts';

/** How one COPY or ADD copies. The rules are BuildKit's copier's (measured; see docs/dockerfile-support.md, C rows). */
export interface CopyOptions {
  /** Of everything copied and created; without it files keep theirs and new folders are root's. */
  readonly owner?: Ownership;
  readonly mode?: ModeChange;
  /** The time that a copied node gets, in seconds. */
  readonly mtime: (node: SourceNode) => number;
  /** A folder's contents go into the destination, not the folder itself (COPY, ADD of local paths). */
  readonly contentsOnly: boolean;
  readonly include?: PatternMatcher;
  readonly exclude?: PatternMatcher;
}

/**
 * The paths that a source argument means: itself, or what its glob matches in walk order (byte order; a matched
 * folder is not searched further). Links on the way to the first glob are followed inside the root.
 * @param source - as written after expansion; read relative to the root, `..` clipped.
 * @throws {CairnError} COPY_SOURCE_NOT_FOUND when the folder to search in does not exist
 */
export function expandSource(tree: SourceTree, source: ByteString): ByteString[] {
  const parts = components(cleanPath(source));
  const globAt = parts.findIndex(hasWildcard);
  if (globAt < 0) return [joinPath(...parts)];
  const root = resolvePath(tree, joinPath(...parts.slice(0, globAt)), { followLast: true });
  if (root !== '' && tree.get(root) === undefined) throw sourceNotFound(source);
  const pattern = toText(joinPath(...parts.slice(globAt)));
  return findMatches(tree, root, root, pattern);
}

function findMatches(tree: SourceTree, root: ByteString, folder: ByteString, pattern: string): ByteString[] {
  const depth = pattern.split('/').length;
  return tree.list(folder).flatMap((name) => {
    const path = joinPath(folder, name);
    const relative = root === '' ? path : path.slice(root.length + 1);
    if (matchPath(pattern, toText(relative as ByteString)) === true) return [path];
    const deeper = relative.split('/').length < depth && tree.get(path)?.type === 'dir';
    return deeper ? findMatches(tree, root, path, pattern) : [];
  });
}

/**
 * Copies one source path (a result of `expandSource`) to a destination.
 * @param destination - absolute; a trailing `/` or `/.` makes it a folder.
 * @throws {CairnError} COPY_SOURCE_NOT_FOUND, COPY_ONTO_DIRECTORY, COPY_ONTO_FILE, NOT_A_DIRECTORY
 */
export function copyPath(
  editor: TreeEditor,
  tree: SourceTree,
  source: ByteString,
  destination: ByteString,
  options: CopyOptions,
): void {
  const followed = resolvePath(tree, source, { followLast: options.contentsOnly });
  const node = tree.get(followed);
  if (node === undefined) throw sourceNotFound(source);
  const target = prepareTarget(editor, node, source, destination, options);
  new Copier(editor, tree, options).copy(followed, '' as ByteString, target, false);
}

/** Creates the folders that lead to the target; returns where the source itself goes. */
function prepareTarget(
  editor: TreeEditor,
  node: SourceNode,
  source: ByteString,
  destination: ByteString,
  options: CopyOptions,
): ByteString {
  const parents = parentAttributes(options);
  const isFolder = destination.endsWith('/') || destination.endsWith('/.');
  const ensured = isFolder ? destination : parentOf(cleanPath(destination));
  editor.mkdirAll(editor.resolve(ensured as ByteString, { followLast: true }), parents);
  let target = editor.resolve(cleanPath(destination), { followLast: true });
  const existing = editor.get(target);
  const isDirectory = node.type === 'dir';
  const goesInside = isDirectory
    ? !options.contentsOnly && existing !== undefined
    : existing?.type === 'dir' || target === '';
  if (goesInside) target = joinPath(target, baseName(source));
  const wanted = isDirectory && options.contentsOnly && existing === undefined ? target : parentOf(target);
  editor.mkdirAll(wanted, parents);
  return target;
}

function parentAttributes(options: CopyOptions) {
  return {
    mode: options.mode?.parentMode ?? 0o755,
    uid: options.owner?.uid ?? 0,
    gid: options.owner?.gid ?? 0,
  };
}

interface Matches {
  readonly include?: MatchState;
  readonly exclude?: MatchState;
}

/** Copies one source tree; folders that only an include pattern needs are made when something in them is copied. */
class Copier {
  readonly #editor: TreeEditor;
  readonly #tree: SourceTree;
  readonly #options: CopyOptions;
  /** Links stay links inside one copied source only. */
  readonly #scope: number;
  #pending: { source: ByteString; target: ByteString; made: boolean }[] = [];

  constructor(editor: TreeEditor, tree: SourceTree, options: CopyOptions) {
    this.#editor = editor;
    this.#scope = editor.nextScope();
    this.#tree = tree;
    this.#options = options;
  }

  /** @param relative - path below the source that was named; '' for itself. */
  copy(
    source: ByteString,
    relative: ByteString,
    target: ByteString,
    overwrite: boolean,
    above: Matches = {},
  ): void {
    const node = this.#tree.get(source);
    if (node === undefined) throw sourceNotFound(source);
    const { wanted, skipBelow, matches } = this.#select(relative, above);
    if (node.type === 'dir') {
      this.#copyFolder(node, { source, relative, target, overwrite }, { wanted, skipBelow, matches });
    } else if (wanted) {
      this.#makePendingFolders(overwrite);
      this.#copyNode(node, source, target);
    }
  }

  #select(relative: ByteString, above: Matches) {
    if (relative === '') return { wanted: true, skipBelow: false, matches: {} };
    const text = toText(relative);
    const include = this.#options.include?.match(text, above.include);
    const exclude = this.#options.exclude?.match(text, above.exclude);
    const wanted = (include?.excluded ?? true) && !(exclude?.excluded ?? false);
    const skipBelow = exclude?.excluded === true && !this.#options.exclude?.hasNegation;
    const matches: Matches = {
      ...(include ? { include: include.state } : {}),
      ...(exclude ? { exclude: exclude.state } : {}),
    };
    return { wanted, skipBelow, matches };
  }

  #copyFolder(
    node: SourceNode,
    at: { source: ByteString; relative: ByteString; target: ByteString; overwrite: boolean },
    how: { wanted: boolean; skipBelow: boolean; matches: Matches },
  ): void {
    if (how.wanted) {
      this.#makePendingFolders(at.overwrite);
      this.#makeFolder(node, at.target, at.overwrite);
    }
    if (how.skipBelow) return;
    this.#pending.push({ source: at.source, target: at.target, made: how.wanted });
    for (const name of this.#tree.list(at.source)) {
      const below = joinPath(at.relative, name);
      this.copy(joinPath(at.source, name), below, joinPath(at.target, name), true, how.matches);
    }
    this.#pending.pop();
  }

  #makePendingFolders(overwrite: boolean): void {
    for (const folder of this.#pending) {
      if (folder.made) continue;
      const node = this.#tree.get(folder.source) as SourceNode;
      const existing = this.#editor.get(folder.target);
      if (existing?.type !== 'dir') this.#makeFolder(node, folder.target, overwrite);
      // A folder that was there before takes the mode, but not the owner, of one that only leads to a match.
      else if (overwrite) this.#editor.put(folder.target, { ...existing, type: 'dir', mode: node.mode });
      folder.made = true;
    }
  }

  #makeFolder(node: SourceNode, target: ByteString, overwrite: boolean): void {
    const existing = this.#editor.get(target);
    if (existing !== undefined && existing.type !== 'dir') throw ontoFile(target);
    if (existing !== undefined && !overwrite) return;
    const xattrs = { ...existing?.xattrs, ...node.xattrs };
    this.#editor.put(target, {
      type: 'dir',
      ...this.#attributes(node),
      ...(Object.keys(xattrs).length > 0 ? { xattrs } : {}),
    });
  }

  #copyNode(node: SourceNode, source: ByteString, target: ByteString): void {
    if (this.#editor.get(target)?.type === 'dir') throw ontoDirectory(target);
    const attributes = this.#attributes(node);
    if (node.type === 'file')
      this.#editor.put(target, {
        type: 'file',
        ...attributes,
        size: node.size,
        digest: this.#tree.digest(source),
        source: this.#tree.content(source),
        ...(node.inode === undefined ? {} : { inode: `${this.#scope}:${node.inode}` }),
      });
    else if (node.type === 'symlink')
      this.#editor.put(target, {
        type: 'symlink',
        ...attributes,
        mode: 0o777,
        link: node.link as ByteString,
      });
    else if (node.type === 'fifo') this.#editor.put(target, { type: 'fifo', ...attributes });
    else if (node.type !== 'dir')
      this.#editor.put(target, { type: node.type, ...attributes, rdev: node.rdev as [number, number] });
  }

  #attributes(node: SourceNode) {
    const { owner, mode, mtime } = this.#options;
    return {
      mode: mode && node.type !== 'symlink' ? mode.apply(node.mode, node.type === 'dir') : node.mode,
      uid: owner?.uid ?? node.uid,
      gid: owner?.gid ?? node.gid,
      mtime: mtime(node),
      ...(node.xattrs ? { xattrs: node.xattrs } : {}),
    };
  }
}

/** The error for a source that is not there; the step adds the place and why. */
export function sourceNotFound(source: ByteString): CairnError {
  return new CairnError('COPY_SOURCE_NOT_FOUND', { message: `"/${toText(cleanPath(source))}": not found` });
}

function ontoDirectory(target: ByteString): CairnError {
  return new CairnError('COPY_ONTO_DIRECTORY', {
    message: `cannot replace the directory "/${toText(target)}" with a file`,
    help: 'end the destination with "/" and give the file another name, or remove the directory in an earlier RUN',
  });
}

function ontoFile(target: ByteString): CairnError {
  return new CairnError('COPY_ONTO_FILE', {
    message: `cannot copy a directory onto "/${toText(target)}", which is not a directory`,
    help: 'choose another destination, or remove the file in an earlier RUN',
  });
}
