import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { DiffId } from '../oci/index.ts';
import type { EscapeCharacter } from '../parser/index.ts';
import type { Store } from '../store/contracts.ts';
import { type IgnoreRules, readIgnoreRules } from './context/ignore-rules.ts';
import { openContext } from './context/open-context.ts';
import type { BuildEvent, BuildOptions } from './contracts.ts';
import { emptyTree } from './copy/empty-tree.ts';
import { LayerTree } from './copy/layer-tree.ts';
import type { SourceTree } from './copy/source-tree.ts';
import type { DockerfileText } from './dockerfile-source.ts';
import { epochOf } from './epoch.ts';
import { Limit } from './limit.ts';
import type { BuildPlan, StageSource } from './plan.ts';
import type { StageState } from './stage-state.ts';
import type { InstructionScope } from './steps/metadata.ts';

/** What the steps of one build share. Read-only; each step gets its state and gives the next one. */
export interface BuildSession extends InstructionScope {
  readonly store: Store;
  readonly options: BuildOptions;
  /** File times are kept as they are. */
  readonly preserveTimes: boolean;
  /** Names this build for cache records: the Dockerfile's path. */
  readonly place: string;
  /** What .dockerignore leaves out; null without one. */
  readonly ignore: IgnoreRules | null;
  readonly signal: AbortSignal;
  now(): number;
  emit(event: BuildEvent): void;
  /** The files of the build context. */
  context(): SourceTree;
  /** The file system that COPY --from names, once it is built. */
  sourceTree(source: StageSource): Promise<SourceTree>;
  /** Waits for a free place among the running commands. */
  runSlot<T>(work: () => Promise<T>): Promise<T>;
  /** Saves what was learnt about the context's files. */
  close(): void;
}

export interface SessionInputs {
  readonly options: BuildOptions;
  readonly source: DockerfileText;
  readonly plan: BuildPlan;
  readonly escape: EscapeCharacter;
  readonly signal: AbortSignal;
  readonly emit: (event: BuildEvent) => void;
  /** The final state of a stage of the plan, once it is built. */
  readonly stage: (index: number) => Promise<StageState>;
}

/** Many RUN steps wait more than they compute, so a few run at once even on one CPU. */
const leastJobs = 4;

export function openSession(inputs: SessionInputs): BuildSession {
  const { options, source, plan } = inputs;
  const { store } = options;
  const ignore = readIgnoreRules(ignoreFiles(options, source));
  const openedContext = openContext(options, ignore);
  const limit = new Limit(options.jobs ?? Math.max(availableParallelism(), leastJobs));
  const buildArgs = options.buildArgs ?? {};
  const layersOf = async (from: StageSource): Promise<readonly DiffId[]> => {
    if (from.kind === 'stage') return (await inputs.stage(from.index)).layers;
    return from.kind === 'image' ? from.image.config.rootfs.diff_ids : [];
  };
  return {
    store,
    options,
    escape: inputs.escape,
    epoch: epochOf(
      options.timestamp,
      buildArgs.SOURCE_DATE_EPOCH ?? plan.globalArgs.get('SOURCE_DATE_EPOCH'),
    ),
    buildArgs,
    globalArgs: plan.globalArgs,
    preserveTimes: options.timestamp?.kind === 'preserve',
    place: resolve(source.path ?? source.name),
    ignore,
    signal: inputs.signal,
    now: options.now ?? (() => 0),
    emit: inputs.emit,
    context: openedContext.tree,
    sourceTree: async (from) => {
      const layers = await layersOf(from);
      return new LayerTree(layers.length === 0 ? emptyTree : store.layers.tree(layers), store.layers);
    },
    runSlot: (work) => limit.run(work),
    close: openedContext.close,
  };
}

/** The Dockerfile's own ignore file, then the context's. */
function ignoreFiles({ context }: BuildOptions, { path }: DockerfileText): readonly string[] {
  if (context.kind !== 'dir') return [];
  return [
    ...(path ? [join(dirname(path), `${path.split('/').at(-1)}.dockerignore`)] : []),
    join(context.path, '.dockerignore'),
  ];
}
