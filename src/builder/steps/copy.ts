import { CairnError } from '../../errors/index.ts';
import { chainIdOf, type DiffId, digestOf } from '../../oci/index.ts';
import { type AddInstruction, type CopyInstruction, expandHeredoc, type Word } from '../../parser/index.ts';
import { type LayerEntry, type Tree, withParents } from '../../store/index.ts';
import { type ByteString, toBytes, toText } from '../../sys/index.ts';
import { cacheFormat, type KeyValue, keyOf } from '../cache-key.ts';
import { hasWildcard } from '../context/path-match.ts';
import { PatternMatcher } from '../context/pattern-matcher.ts';
import { type CopyOptions, copyPath, expandSource, sourceNotFound } from '../copy/copy-files.ts';
import { emptyTree } from '../copy/empty-tree.ts';
import { type ModeChange, parseModeChange } from '../copy/file-mode.ts';
import { cleanPath, joinPath } from '../copy/resolve-path.ts';
import type { SourceNode, SourceTree } from '../copy/source-tree.ts';
import { TextTree } from '../copy/text-tree.ts';
import { type Ownership, TreeEditor } from '../copy/tree-editor.ts';
import type { StageSource } from '../plan.ts';
import type { BuildSession } from '../session.ts';
import { type StageState, withLayer, workingDirOf } from '../stage-state.ts';
import { resolveOwner } from '../user.ts';
import { runLayerStep } from './layer-step.ts';
import { expandIn, lookup } from './metadata.ts';
import type { StepPosition } from './position.ts';

/** One source argument after expansion. */
interface CopySource {
  readonly tree: SourceTree;
  /** As written, expanded. */
  readonly text: string;
  readonly word: Word;
  /** Paths are globs and name folders for their contents; false for heredocs and fetched trees. */
  readonly isPath: boolean;
}

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
): Promise<StageState> {
  const tree = from ? await session.sourceTree(from) : session.context();
  const request = readRequest(session, state, instruction, tree);
  const base = chainIdOf(state.layers);
  const files = keyOf(
    entryValues(planEntries(session, request, new TreeEditor(emptyTree, session.epoch), null)),
  );
  const flags = { chown: request.chown, chmod: request.chmod, unpack: unpacks(instruction) };
  const step = {
    id: position.id as number,
    place: position.place,
    skipCache: position.skipCache,
    key: keyOf({ format: cacheFormat, kind: instruction.kind, files, flags, to: request.destination, base }),
    components: {
      instruction: request.createdBy,
      files,
      base: base ?? '',
      options: `epoch ${session.epoch}`,
    },
  };
  const { layer } = await runLayerStep(session, step, async () => {
    const { layers } = session.store;
    const parent = layers.tree(state.layers);
    const owner = request.chown === '' ? null : resolveOwner(layers, parent, request.chown);
    const entries = planEntries(session, request, new TreeEditor(parent, session.epoch), owner);
    return storeEntries(session, entries, parent, position);
  });
  return withLayer(state, layer, request.createdBy, session.epoch);
}

/** Packs entries into a layer, unless a layer with exactly these entries is known. */
export async function storeEntries(
  session: BuildSession,
  changes: readonly LayerEntry[],
  parent: Tree,
  position: StepPosition,
): Promise<{ readonly layer: DiffId; readonly reused: boolean }> {
  const { store } = session;
  const entries = [...withParents(changes, parent)];
  const key = keyOf({ format: cacheFormat, kind: 'entries', entries: entryValues(entries) });
  const known = position.skipCache ? null : store.steps.get(key);
  if (known !== null && store.lease(known.layer)) return { layer: known.layer, reused: true };
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

function readRequest(
  session: BuildSession,
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  tree: SourceTree,
): CopyRequest {
  const expand = (word: Word) => expandIn(state, word, session);
  const paths = instruction.sources.map((word) => ({ tree, text: expand(word), word, isPath: true }));
  const texts = instruction.heredocs.map((heredoc) => {
    const body = heredoc.expand
      ? expandHeredoc(heredoc.body, lookup(state), heredoc.word.span).text
      : heredoc.body;
    const file = new TextTree(toBytes(heredoc.name), Buffer.from(body, 'utf8'));
    return { tree: file, text: `<<${heredoc.name}`, word: heredoc.word, isPath: false };
  });
  const to = expand(instruction.destination);
  const chown = instruction.chown ? expand(instruction.chown) : '';
  const chmod = instruction.chmod ? expand(instruction.chmod) : '';
  const sources = [...paths, ...texts];
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

/** ADD unpacks local archives unless told otherwise; COPY never does. */
function unpacks(instruction: CopyInstruction | AddInstruction): boolean {
  return instruction.kind === 'add' && (instruction.unpack ?? true);
}

function planEntries(
  session: BuildSession,
  request: CopyRequest,
  editor: TreeEditor,
  owner: Ownership | null,
): LayerEntry[] {
  for (const source of request.sources) {
    try {
      copySource(session, request, source, editor, owner);
    } catch (error) {
      throw explainSource(session, request, source, error);
    }
  }
  return editor.entries();
}

function copySource(
  session: BuildSession,
  request: CopyRequest,
  source: CopySource,
  editor: TreeEditor,
  owner: Ownership | null,
): void {
  const { instruction } = request;
  const options: CopyOptions = {
    ...(owner ? { owner } : {}),
    ...(request.mode ? { mode: request.mode } : {}),
    mtime: timeRule(session, source),
    contentsOnly: source.isPath,
    ...(instruction.exclude.length > 0
      ? { exclude: PatternMatcher.of(instruction.exclude.map((word) => word.text)) }
      : {}),
  };
  if (!source.isPath) {
    copyPath(
      editor,
      source.tree,
      source.tree.list('' as ByteString)[0] as ByteString,
      request.destination,
      options,
    );
    return;
  }
  const text = toBytes(source.text);
  if (instruction.kind === 'copy' && instruction.parents) {
    copyWithParents(editor, source, request.destination, options);
    return;
  }
  for (const path of expandSource(source.tree, text))
    copyPath(editor, source.tree, path, request.destination, options);
}

/** `--parents`: the path below the pivot `/./` (or the root) is kept below the destination (row C28). */
function copyWithParents(
  editor: TreeEditor,
  source: CopySource,
  destination: ByteString,
  options: CopyOptions,
): void {
  const pivot = source.text.indexOf('/./');
  const root = toBytes(pivot < 0 ? '/' : source.text.slice(0, pivot));
  const pattern = cleanPath(pivot < 0 ? source.text : source.text.slice(pivot + 3));
  const include = PatternMatcher.of([pattern === '' ? '**' : pattern]);
  if (!hasWildcard(source.text)) {
    const required = joinPath(cleanPath(root), toBytes(pattern));
    if (source.tree.get(required) === undefined) throw sourceNotFound(required);
  }
  for (const path of expandSource(source.tree, root))
    copyPath(editor, source.tree, path, destination, { ...options, include });
}

/** Context files get the epoch, since a checkout's times are nobody's content; files of a layer keep theirs. */
function timeRule(session: BuildSession, source: CopySource): (node: SourceNode) => number {
  const isContext = source.tree === session.context() || !source.isPath;
  if (isContext && !session.preserveTimes) return () => session.epoch;
  return (node) => (session.preserveTimes ? node.mtime : Math.min(node.mtime, session.epoch));
}

/** Adds the place, and for a path that .dockerignore hides the pattern that does. */
function explainSource(
  session: BuildSession,
  request: CopyRequest,
  source: CopySource,
  error: unknown,
): unknown {
  if (!(error instanceof CairnError) || error.at !== undefined) return error;
  const at = source.word.span;
  if (error.code !== 'COPY_SOURCE_NOT_FOUND')
    return new CairnError(error.code, {
      message: error.message,
      at,
      notes: error.notes,
      ...(error.help ? { help: error.help } : {}),
      cause: error,
    });
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
      ? `paths are relative to the build context ${contextName(session)}; check the spelling`
      : 'check the path and that the step which makes it writes there',
    cause: error,
  });
}

function fromName(instruction: CopyInstruction | AddInstruction): string {
  return instruction.kind === 'copy' ? (instruction.from?.text ?? 'the context') : 'the context';
}

function contextName(session: BuildSession): string {
  const { context } = session.options;
  return context.kind === 'dir' ? `"${context.path}"` : '(which is empty here)';
}

/** What an entry means, without where its bytes come from. */
function entryValues(entries: readonly LayerEntry[]): KeyValue {
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
