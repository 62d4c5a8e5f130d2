import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { DiffId } from '../oci/index.ts';
import type { EscapeCharacter } from '../parser/index.ts';
import type { Store } from '../store/contracts.ts';
import type { BuildAccess } from './build-access.ts';
import { type IgnoreRules, readIgnoreRules } from './context/ignore-rules.ts';
import { type BuildContext, openContext } from './context/open-context.ts';
import type { BuildEvent, BuildOptions, FileContextSource } from './contracts.ts';
import { emptyTree } from './copy/empty-tree.ts';
import { LayerTree } from './copy/layer-tree.ts';
import type { SourceTree } from './copy/source-tree.ts';
import type { DockerfileText } from './dockerfile-source.ts';
import { epochOf } from './epoch.ts';
import { Limit } from './limit.ts';
import type { BuildPlan, StageSource } from './plan.ts';
import { BuildTrail, type StepPlace } from './record/build-trail.ts';
import type { StageState } from './stage-state.ts';
import type { InstructionScope } from './steps/metadata.ts';

export type CacheMode = 'use' | 'require' | 'forecast';

/** What the steps of one build share. Read-only; each step gets its state and gives the next one. */
export interface BuildSession extends InstructionScope, Omit<BuildAccess, 'close'> {
  readonly store: Store;
  readonly options: BuildOptions;
  /**
   * `use`: results are found or made; `require`: a result that is not known is an error; `forecast`: nothing is made, what
   * cannot be known stands as `unknownLayer`.
   */
  readonly cacheMode: CacheMode;
  /** File times are kept as they are. */
  readonly preserveTimes: boolean;
  /** Names this build for cache records: the Dockerfile's path. */
  readonly place: string;
  /** What the build context is called in messages, in quotes. */
  readonly contextLabel: string;
  /** What .dockerignore leaves out; null without one. */
  readonly ignore: IgnoreRules | null;
  readonly signal: AbortSignal;
  now(): number;
  emit(event: BuildEvent): void;
  /** The files of the build context. */
  context(): SourceTree;
  /** The file system that COPY --from or a mount names, once it is built. */
  sourceTree(source: StageSource): Promise<SourceTree>;
  /** Its layers, base first; null for files that are not a stack of layers. */
  sourceLayers(source: StageSource): Promise<readonly DiffId[] | null>;
  /** The merged file system of layers. */
  treeOf(layers: readonly DiffId[]): SourceTree;
  /** Waits for a free place among the running commands. */
  runSlot<T>(work: () => Promise<T>): Promise<T>;
  /** What was done so far, for the build's record. */
  readonly trail: BuildTrail;
  /** The layer that a step is known to give, instead of executing it; null when none is. */
  knownLayer(place: StepPlace): DiffId | null;
  /** Saves what was learnt about the context's files, and ends what the build started. */
  close(): void;
}

export interface SessionInputs {
  readonly options: BuildOptions;
  readonly cacheMode: CacheMode;
  readonly context: BuildContext;
  readonly access: BuildAccess;
  readonly source: DockerfileText;
  readonly plan: BuildPlan;
  readonly escape: EscapeCharacter;
  readonly signal: AbortSignal;
  readonly emit: (event: BuildEvent) => void;
  /** The final state of a stage of the plan, once it is built. */
  readonly stage: (index: number) => Promise<StageState>;
  /** Layers that are known beforehand: none when absent. */
  readonly knownLayer?: (place: StepPlace) => DiffId | null;
}

/** Many RUN steps wait more than they compute, so a few run at once even on one CPU. */
const leastJobs = 4;

export function openSession(inputs: SessionInputs): BuildSession {
  const { options, context, access, source, plan } = inputs;
  const { store } = options;
  const ignore = readIgnoreRules(ignoreFiles(context, source));
  const limit = new Limit(options.jobs ?? Math.max(availableParallelism(), leastJobs));
  const buildArgs = options.buildArgs ?? {};
  const named = new NamedContexts(options, access);
  const trail = new BuildTrail();
  const layersOf = async (from: StageSource): Promise<readonly DiffId[] | null> => {
    if (from.kind === 'stage') return (await inputs.stage(from.index)).layers;
    if (from.kind === 'context') return null;
    return from.kind === 'image' ? from.image.config.rootfs.diff_ids : [];
  };
  const treeOf = (layers: readonly DiffId[]): SourceTree =>
    new LayerTree(layers.length === 0 ? emptyTree : store.layers.tree(layers), store.layers);
  return {
    store,
    options,
    cacheMode: inputs.cacheMode,
    escape: inputs.escape,
    epoch: epochOf(
      options.timestamp,
      buildArgs.SOURCE_DATE_EPOCH ?? plan.globalArgs.get('SOURCE_DATE_EPOCH'),
    ),
    buildArgs,
    globalArgs: plan.globalArgs,
    preserveTimes: options.timestamp?.kind === 'preserve',
    place: source.path === undefined ? `${context.label}#${source.name}` : resolve(source.path),
    ignore,
    signal: inputs.signal,
    now: options.now ?? (() => 0),
    emit: inputs.emit,
    ...access,
    contextLabel: context.isEmpty ? '(which is empty here)' : `"${context.label}"`,
    trail,
    knownLayer: inputs.knownLayer ?? (() => null),
    context: () => trail.watch('', context.tree(ignore)),
    sourceTree: async (from) => {
      if (from.kind === 'context') return trail.watch(from.name, await named.tree(from.source));
      const layers = (await layersOf(from)) ?? [];
      await store.layers.prepare(layers);
      return treeOf(layers);
    },
    sourceLayers: layersOf,
    treeOf,
    runSlot: (work) => limit.run(work),
    close: () => named.close(),
  };
}

/** Named contexts in use; each is opened once. */
class NamedContexts {
  readonly #options: BuildOptions;
  readonly #access: BuildAccess;
  readonly #open = new Map<FileContextSource, Promise<BuildContext>>();

  constructor(options: BuildOptions, access: BuildAccess) {
    this.#options = options;
    this.#access = access;
  }

  async tree(source: FileContextSource): Promise<SourceTree> {
    const { store, contextModes } = this.#options;
    const { remote } = this.#access;
    const shared = { store, remote, ...(contextModes ? { contextModes } : {}) };
    const opened = this.#open.get(source) ?? openContext(source, shared);
    this.#open.set(source, opened);
    const context = await opened;
    const { folder } = context;
    return context.tree(folder === null ? null : readIgnoreRules([join(folder, '.dockerignore')]));
  }

  close(): void {
    for (const opened of this.#open.values())
      opened.then(
        (context) => context.close(),
        // Whoever wanted it was told.
        () => undefined,
      );
  }
}

/** The Dockerfile's own ignore file, then the context's. */
export function ignoreFiles({ folder }: BuildContext, { path }: DockerfileText): readonly string[] {
  if (folder === null) return [];
  return [
    ...(path ? [join(dirname(path), `${path.split('/').at(-1)}.dockerignore`)] : []),
    join(folder, '.dockerignore'),
  ];
}
