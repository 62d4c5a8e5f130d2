import { CairnError, type Span } from '../../errors/index.ts';
import { chainIdOf, type DiffId, type Digest, digestOf } from '../../oci/index.ts';
import type { AddInstruction, CopyInstruction, Word } from '../../parser/index.ts';
import { type LayerEntry, type Tree, type TreeNode, withParents } from '../../store/index.ts';
import { type ByteString, toBytes, toText } from '../../sys/index.ts';
import { type Archive, readArchive } from '../archive/read-archive.ts';
import { unpackArchive } from '../archive/unpack-archive.ts';
import { cacheFormat, type KeyValue, keyOf } from '../cache-key.ts';
import { hasWildcard } from '../context/path-match.ts';
import { PatternMatcher } from '../context/pattern-matcher.ts';
import { type CopyOptions, copyPath, expandSource, sourceNotFound } from '../copy/copy-files.ts';
import { emptyTree } from '../copy/empty-tree.ts';
import { type ModeChange, parseModeChange } from '../copy/file-mode.ts';
import { baseName, cleanPath, joinPath, resolvePath } from '../copy/resolve-path.ts';
import { digestSource } from '../copy/source-digest.ts';
import { type Ownership, TreeEditor } from '../copy/tree-editor.ts';
import { normalizeText, type StepAccount } from '../explain/account.ts';
import {
  accountLayers,
  ignoredLines,
  optionSettings,
  usedInHeredocs,
  usedVariables,
} from '../explain/account-parts.ts';
import { type InputFile, inputOfEntry } from '../explain/input-list.ts';
import { listSource } from '../explain/list-source.ts';
import type { StageSource } from '../plan.ts';
import type { BuildSession } from '../session.ts';
import { type StageState, withLayer, workingDirOf } from '../stage-state.ts';
import { resolveOwner } from '../user.ts';
import { type CopySource, resolveCopySources } from './copy-source.ts';
import { runLayerStep, type StepResult, unknownLayer } from './layer-step.ts';
import { expandIn } from './metadata.ts';
import type { StepPosition } from './position.ts';

interface CopyRequest {
  readonly instruction: CopyInstruction | AddInstruction;
  readonly sources: readonly CopySource[];
  /** Absolute, with its trailing slash or `/.` kept. */
  readonly destination: ByteString;
  readonly chown: string;
  readonly chmod: string;
  readonly mode: ModeChange | null;
  readonly createdBy: string;
}

/**
 * COPY and ADD: works out on the tables of contents what lands where, and packs just that. Two keys find a known layer: one
 * over the inputs and the parent's chain (cheap), one over the layer's own entries (so that a changed parent that does not
 * matter changes nothing).
 */
export async function executeCopy(
  session: BuildSession,
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  from: StageSource | undefined,
  position: StepPosition,
): Promise<StepResult> {
  const stage = from ? { source: from, tree: await session.sourceTree(from) } : null;
  const sources = await resolveCopySources(session, state, instruction, stage);
  const request = readRequest(session, state, instruction, sources);
  const base = chainIdOf(state.layers);
  const files = keyOf(inputValues(session, request));
  const flags = { chown: request.chown, chmod: request.chmod };
  const step = {
    position,
    parent: state.layers,
    isByContent: true,
    key: keyOf({
      format: cacheFormat,
      kind: instruction.kind,
      files,
      flags,
      to: request.destination,
      base,
      // Of folders that are made on the way, and of what archives hold.
      epoch: session.epoch,
      keep: session.preserveTimes,
    }),
    account: () => copyAccount(session, state, request, files),
  };
  const { layer, outcome } = await runLayerStep(session, step, async () => {
    const { layers } = session.store;
    // Names of owners are in files of the image.
    if (request.chown === '') await layers.prepare(state.layers);
    else await layers.fetch(state.layers);
    const parent = layers.tree(state.layers);
    const owner = request.chown === '' ? null : resolveOwner(layers, parent, request.chown);
    const archives = await readArchives(session, request);
    const entries = planEntries(session, request, { parent, owner, archives });
    return storeEntries(session, entries, parent, position);
  });
  return { state: withLayer(state, layer, request.createdBy, session.epoch), ...outcome };
}

/** Packs entries into a layer, unless a layer with exactly these entries is known, or nothing may be made. */
export async function storeEntries(
  session: BuildSession,
  changes: readonly LayerEntry[],
  parent: Tree,
  position: Pick<StepPosition, 'skipCache'>,
): Promise<{ readonly layer: DiffId; readonly reused: boolean }> {
  const { store } = session;
  const entries = [...withParents(changes, parent)];
  const key = keyOf({ format: cacheFormat, kind: 'entries', entries: entryValues(entries) });
  const known = position.skipCache ? null : store.steps.get(key);
  if (known !== null && store.lease(known.layer)) return { layer: known.layer, reused: true };
  if (session.cacheMode !== 'use') return { layer: unknownLayer, reused: false };
  const startedAt = session.now();
  const { diffId } = await store.layers.write(entries);
  const endedAt = session.now();
  store.steps.put({
    key,
    layer: diffId,
    components: {},
    place: '',
    createdAt: new Date(endedAt).toISOString(),
    durationMs: Math.round(endedAt - startedAt),
  });
  return { layer: diffId, reused: false };
}

/** What the key of a COPY or ADD is made of, for people. */
function copyAccount(session: BuildSession, state: StageState, request: CopyRequest, files: Digest) {
  const { instruction, sources, chown, chmod, destination } = request;
  const { exclude, heredocs, source } = instruction;
  const words = [...instruction.sources, instruction.destination, instruction.chown, instruction.chmod];
  const parents = isParents(instruction) ? sources.map(({ text }) => text) : [];
  // The same files from elsewhere have the same digest, and are another list for people.
  const list = keyOf([files, sources.map(({ text }) => text)]);
  const account: StepAccount = {
    kind: instruction.kind,
    written: normalizeText(source),
    instruction: JSON.stringify([chown, chmod, toText(destination), parents, sources.map(unpacks)]),
    used: [
      ...usedVariables(
        state,
        words.filter((word) => word !== undefined),
        session.escape,
      ),
      ...usedInHeredocs(state, heredocs),
    ],
    selection: JSON.stringify([
      sources.map(({ text }) => text),
      exclude.map(({ text }) => text),
      instruction.kind === 'copy' ? (instruction.from?.text ?? '') : '',
    ]),
    files: list,
    workdir: workingDirOf(state),
    ...ignoredLines(session),
    settings: optionSettings(session),
    base: accountLayers(state),
  };
  return { account, lists: new Map([[list, () => inputFiles(session, request)]]) };
}

function unpacks({ takes, unpack }: CopySource): string {
  return `${takes}${unpack ? ', unpacked' : ''}`;
}

/** All that `inputValues` is made of, by the paths that people know. */
function inputFiles(session: BuildSession, request: CopyRequest): readonly InputFile[] {
  const { exclude } = request.instruction;
  return request.sources.flatMap((source) => {
    const shownAs = (path: ByteString): string => {
      if (source.takes === 'paths') return path;
      return toBytes(source.takes === 'file' ? source.text : `${source.text}:${toText(path)}`);
    };
    return pathsOf(request, source).flatMap((path): readonly InputFile[] => {
      const contentsOnly = source.takes === 'paths';
      const followed = resolvePath(source.tree, path, { followLast: contentsOnly });
      const shown = shownAs(path);
      if (exclude.length === 0 && !isParents(request.instruction))
        return listSource(source.tree, followed, { shown, contentsOnly, mtimeOf: source.mtimeOf });
      const editor = new TreeEditor(emptyTree, session.epoch);
      copyInto(editor, request, source, path, '/0' as ByteString, patternOptions(request));
      const below = (entry: ByteString) => joinPath(shown, entry.slice('0/'.length));
      return editor
        .entries()
        .filter(({ path: entry, type }) => entry !== '0' || type !== 'dir')
        .map((entry) => inputOfEntry(entry, below));
    });
  });
}

function readRequest(
  session: BuildSession,
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  sources: readonly CopySource[],
): CopyRequest {
  const expand = (word: Word) => expandIn(state, word, session);
  const to = expand(instruction.destination);
  const chown = instruction.chown ? expand(instruction.chown) : '';
  const chmod = instruction.chmod ? expand(instruction.chmod) : '';
  const flags = [
    ...(instruction.kind === 'copy' && instruction.parents ? ['--parents'] : []),
    ...(chown === '' ? [] : [`--chown=${chown}`]),
    ...(chmod === '' ? [] : [`--chmod=${chmod}`]),
  ];
  const words = [instruction.kind.toUpperCase(), ...flags, ...sources.map((source) => source.text), to];
  return {
    instruction,
    sources,
    destination: toBytes(destinationPath(workingDirOf(state), to)),
    chown,
    chmod,
    mode: chmod === '' ? null : parseModeChange(chmod, instruction.chmod?.span),
    createdBy: `${words.join(' ')} # buildkit`,
  };
}

/** Joins a destination to the working folder; a trailing slash, `.` or nothing means a folder (rows C20, C21). */
function destinationPath(workingDir: string, to: string): string {
  const named = to === '' || to === '.' ? './' : to;
  const clean = `/${cleanPath(named.startsWith('/') ? named : `${workingDir}/${named}`)}`;
  const isFolder = named.endsWith('/') || named.endsWith('/.');
  return isFolder && clean !== '/' ? `${clean}/` : clean;
}

/** Where the entries of a layer come to lie, and what they are made with. */
interface Placing {
  readonly parent: Tree;
  readonly owner: Ownership | null;
  /** Archives among the sources, by their paths in the source's tree. */
  readonly archives: ReadonlyMap<CopySource, ReadonlyMap<ByteString, Archive>>;
}

function planEntries(session: BuildSession, request: CopyRequest, placing: Placing): LayerEntry[] {
  const editor = new TreeEditor(placing.parent, session.epoch);
  const options = { ...copyOptions(request), ...(placing.owner ? { owner: placing.owner } : {}) };
  for (const source of request.sources) {
    withSourcePlace(session, request, source, () => {
      for (const path of pathsOf(request, source)) {
        const archive = placing.archives.get(source)?.get(path);
        if (archive) unpackInto(session, editor, archive, request.destination, placing);
        else copyInto(editor, request, source, path, request.destination, options);
      }
    });
  }
  return editor.entries();
}

/**
 * What the sources are, whatever the parent is. What the result is depends on nothing but this, the destination, the flags and
 * the parent.
 */
function inputValues(session: BuildSession, request: CopyRequest): KeyValue {
  return request.sources.map((source): KeyValue => {
    const inputs: KeyValue[] = [];
    withSourcePlace(session, request, source, () => {
      for (const path of pathsOf(request, source)) inputs.push(inputValue(session, request, source, path));
    });
    const pivot = isParents(request.instruction) ? source.text : '';
    return [source.takes, source.unpack, pivot, inputs];
  });
}

/** One path: all of it, or, where patterns choose, what a copy to a place of its own takes. */
function inputValue(
  session: BuildSession,
  request: CopyRequest,
  source: CopySource,
  path: ByteString,
): KeyValue {
  const contentsOnly = source.takes === 'paths';
  const followed = resolvePath(source.tree, path, { followLast: contentsOnly });
  const node = source.tree.get(followed);
  if (node === undefined) throw sourceNotFound(path);
  // A file keeps its name in a folder; that of a folder is never used.
  const name = node.type === 'dir' ? '' : baseName(path);
  if (request.instruction.exclude.length === 0 && !isParents(request.instruction))
    return [name, digestSource(source.tree, followed, { contentsOnly, mtimeOf: source.mtimeOf })];
  const editor = new TreeEditor(emptyTree, session.epoch);
  copyInto(editor, request, source, path, '/0' as ByteString, patternOptions(request));
  return [name, entryValues(editor.entries())];
}

function copyOptions({ instruction, mode }: CopyRequest): Omit<CopyOptions, 'mtime' | 'contentsOnly'> {
  const exclude = instruction.exclude.map((word) => word.text);
  return {
    ...(mode ? { mode } : {}),
    ...(exclude.length > 0 ? { exclude: PatternMatcher.of(exclude) } : {}),
  };
}

/**
 * Without --chmod: folders that only lead to a match give an existing folder the mode that they had before it. The flag itself
 * is in the key.
 */
function patternOptions(request: CopyRequest): ReturnType<typeof copyOptions> {
  const { mode: _, ...options } = copyOptions(request);
  return options;
}

function isParents(instruction: CopyInstruction | AddInstruction): boolean {
  return instruction.kind === 'copy' && instruction.parents;
}

/** The paths in a source's tree that are copied, one after the other. */
function pathsOf({ instruction }: CopyRequest, source: CopySource): readonly ByteString[] {
  const root = '' as ByteString;
  if (source.takes === 'root') return [root];
  if (source.takes === 'file') return source.tree.list(root);
  const { pivot } = splitParents(source.text);
  return expandSource(source.tree, toBytes(isParents(instruction) ? pivot : source.text));
}

function copyInto(
  editor: TreeEditor,
  { instruction }: CopyRequest,
  source: CopySource,
  path: ByteString,
  destination: ByteString,
  shared: Omit<CopyOptions, 'mtime' | 'contentsOnly'>,
): void {
  const options = { ...shared, mtime: source.mtimeOf, contentsOnly: source.takes === 'paths' };
  const include = isParents(instruction) ? { include: parentsPattern(source) } : {};
  copyPath(editor, source.tree, path, destination, { ...options, ...include });
}

/** `--parents`: the path below the pivot `/./` (or the root) is kept below the destination (row C28). */
function parentsPattern({ text, tree }: CopySource): PatternMatcher {
  const { pivot, below } = splitParents(text);
  if (!hasWildcard(text)) {
    const required = joinPath(cleanPath(toBytes(pivot)), toBytes(below));
    if (tree.get(required) === undefined) throw sourceNotFound(required);
  }
  return PatternMatcher.of([below === '' ? '**' : below]);
}

function splitParents(text: string): { readonly pivot: string; readonly below: string } {
  const at = text.indexOf('/./');
  return { pivot: at < 0 ? '/' : text.slice(0, at), below: cleanPath(at < 0 ? text : text.slice(at + 3)) };
}

/** Reads the files among the sources that are archives and are to be unpacked (rows C31, C37). */
async function readArchives(session: BuildSession, request: CopyRequest): Promise<Placing['archives']> {
  const archives = new Map<CopySource, Map<ByteString, Archive>>();
  for (const source of request.sources) {
    if (!source.unpack) continue;
    const found = new Map<ByteString, Archive>();
    for (const path of pathsOf(request, source)) {
      const archive = await readArchiveAt(session, source, path);
      if (archive) found.set(path, archive);
    }
    archives.set(source, found);
  }
  return archives;
}

async function readArchiveAt(
  session: BuildSession,
  source: CopySource,
  path: ByteString,
): Promise<Archive | null> {
  const file = resolvePath(source.tree, path, { followLast: true });
  const node = source.tree.get(file);
  if (node?.type !== 'file') return null;
  try {
    const { store } = session;
    return await readArchive(source.tree.content(file), node.size, { scratch: () => store.scratch() });
  } catch (error) {
    throw withPlace(error, source.word.span);
  }
}

/** The destination of an archive is always a folder; it is made with the owner of --chown, but not with the mode of --chmod. */
function unpackInto(
  session: BuildSession,
  editor: TreeEditor,
  archive: Archive,
  destination: ByteString,
  { owner, parent }: Placing,
): void {
  const { epoch, preserveTimes, store } = session;
  const folder = editor.resolve(cleanPath(destination), { followLast: true });
  editor.mkdirAll(folder, { mode: 0o755, uid: 0, gid: 0, ...owner });
  unpackArchive(editor, archive, folder, {
    ...(owner ? { owner } : {}),
    mtimeOf: ({ mtime }) => (preserveTimes ? mtime : Math.min(mtime, epoch)),
    contentOf: (path) => store.layers.content(parent.get(path) as TreeNode),
  });
}

/** Gives an error of a source its place, and for a path that .dockerignore hides the pattern that does. */
function withSourcePlace(
  session: BuildSession,
  request: CopyRequest,
  source: CopySource,
  work: () => void,
): void {
  try {
    work();
  } catch (error) {
    throw explainSource(session, request, source, error);
  }
}

function withPlace(error: unknown, at: Span): unknown {
  if (!(error instanceof CairnError) || error.at !== undefined) return error;
  const { code, message, notes, help } = error;
  return new CairnError(code, { message, at, notes, ...(help ? { help } : {}), cause: error });
}

function explainSource(
  session: BuildSession,
  request: CopyRequest,
  source: CopySource,
  error: unknown,
): unknown {
  if (!(error instanceof CairnError) || error.at !== undefined) return error;
  const at = source.word.span;
  if (error.code !== 'COPY_SOURCE_NOT_FOUND') return withPlace(error, at);
  const isContext = source.tree === session.context();
  const path = toText(cleanPath(toBytes(source.text)));
  const rule = isContext ? session.ignore?.matcher.explain(path) : undefined;
  const where = isContext ? 'in the build context' : `in "${fromName(request.instruction)}"`;
  if (rule?.excluded && rule.by) {
    const line = session.ignore?.lineOf(rule.by);
    return new CairnError('COPY_SOURCE_NOT_FOUND', {
      message: `"${source.text}" is not ${where}: an ignore file excludes it`,
      at,
      notes: [{ message: `"${rule.by.text}" excludes it`, ...(line ? { at: line } : {}) }],
      help: `remove that pattern, or add "!${path}" below it`,
      cause: error,
    });
  }
  return new CairnError('COPY_SOURCE_NOT_FOUND', {
    message: `"${source.text}" is not ${where}`,
    at,
    help: isContext
      ? `paths are relative to the build context ${session.contextLabel}; check the spelling`
      : 'check the path and that the step which makes it writes there',
    cause: error,
  });
}

function fromName(instruction: CopyInstruction | AddInstruction): string {
  return instruction.kind === 'copy' ? (instruction.from?.text ?? 'the context') : 'the context';
}

/** What entries mean, without where their bytes come from: for keys. */
export function entryValues(entries: readonly LayerEntry[]): KeyValue {
  return entries.map((entry): KeyValue => {
    if (entry.type === 'hardlink') return ['hardlink', entry.path, entry.target];
    if (entry.type === 'whiteout') return ['whiteout', entry.path];
    const { type, path, mode, uid, gid, mtime, xattrs } = entry;
    const common: KeyValue[] = [type, path, mode, uid, gid, mtime, xattrs ?? null];
    if (type === 'file') return [...common, entry.size, entry.digest ?? digestOf(bytesOf(entry))];
    if (type === 'symlink') return [...common, entry.link];
    if (type === 'char' || type === 'block') return [...common, [...entry.rdev]];
    return common;
  });
}

function bytesOf(entry: Extract<LayerEntry, { type: 'file' }>): Uint8Array {
  if (entry.source.kind === 'bytes') return entry.source.bytes;
  throw new Error(`an entry without a digest: ${entry.path}`);
}
