import { CairnError } from '../errors/index.ts';
import type { Instruction } from '../parser/index.ts';
import type { BuildStep, CacheVerdict } from './contracts.ts';
import { normalizeText } from './explain/account.ts';
import type { BuildPlan, PlannedInstruction, PlannedStage } from './plan.ts';
import type { StepPlace } from './record/build-trail.ts';
import type { BuildSession } from './session.ts';
import {
  childState,
  imageState,
  type StageState,
  scratchState,
  withLayer,
  withOrigin,
} from './stage-state.ts';
import { contextState } from './steps/context-base.ts';
import { executeCopy } from './steps/copy.ts';
import { isUnknown, type StepResult, unknownLayer } from './steps/layer-step.ts';
import { applyMetadata } from './steps/metadata.ts';
import type { StepPosition } from './steps/position.ts';
import { executeRun } from './steps/run.ts';
import { executeWorkdir } from './steps/workdir.ts';

/** A numbered step with the instruction it stands for (null for the stage's base image). */
interface NumberedStep {
  readonly step: BuildStep;
  readonly stage: number;
  readonly instruction: number | null;
  /** It executes a command. */
  readonly isRun: boolean;
}

/**
 * The steps that people see, in file order: base images, and instructions that make layers.
 * @param options.first - number of the first one.
 * @param options.platform - shown before the stage, when a build has several platforms.
 */
export function numberSteps(
  plan: BuildPlan,
  { first = 1, platform }: { readonly first?: number; readonly platform?: string } = {},
): readonly NumberedStep[] {
  const numbered: NumberedStep[] = [];
  for (const stage of plan.stages) {
    const shown = [
      ...('name' in stage.base ? [{ instruction: null, name: `FROM ${stage.base.name}`, isRun: false }] : []),
      ...stage.instructions.flatMap((planned, i) =>
        makesLayer(planned)
          ? [{ instruction: i, name: nameOf(planned), isRun: planned.instruction.kind === 'run' }]
          : [],
      ),
    ];
    for (const [i, { instruction, name, isRun }] of shown.entries())
      numbered.push({
        step: {
          id: first + numbered.length,
          stage: [platform, stage.label].filter(Boolean).join(' '),
          index: i + 1,
          total: shown.length,
          name,
        },
        stage: stage.index,
        instruction,
        isRun,
      });
  }
  return numbered;
}

function makesLayer({ instruction }: PlannedInstruction): boolean {
  return ['run', 'copy', 'add', 'workdir'].includes(instruction.kind);
}

function nameOf({ instruction, isTrigger }: PlannedInstruction): string {
  const text = instruction.source.replace(/^\S+/, (keyword) => keyword.toUpperCase());
  return isTrigger ? `ONBUILD ${text}` : text;
}

/**
 * Builds the stages of a plan, each at most once: a stage starts at once and waits only where it needs another one, so
 * independent steps run side by side.
 */
export class Solver {
  readonly #session: BuildSession;
  readonly #plan: BuildPlan;
  readonly #steps: readonly NumberedStep[];
  readonly #stages = new Map<number, Promise<StageState>>();

  constructor(session: BuildSession, plan: BuildPlan, steps: readonly NumberedStep[]) {
    this.#session = session;
    this.#plan = plan;
    this.#steps = steps;
  }

  /** Starts every stage of the plan; resolves to the target's state. */
  async solve(): Promise<StageState> {
    const all = this.#plan.stages.map((stage) => this.stage(stage.index));
    await Promise.all(all);
    return this.stage(this.#plan.target);
  }

  /** Waits for everything that was started, however it ends: nothing of a failed build goes on behind its error. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#stages.values());
  }

  /** The final state of a stage. */
  stage(index: number): Promise<StageState> {
    const running = this.#stages.get(index);
    if (running) return running;
    const stage = this.#plan.stages.find((each) => each.index === index);
    if (!stage) throw new Error(`stage ${index} is not in the plan`);
    const started = this.#run(stage);
    this.#stages.set(index, started);
    return started;
  }

  async #run(stage: PlannedStage): Promise<StageState> {
    let state = await this.#begin(stage);
    for (const [i, planned] of stage.instructions.entries()) {
      this.#session.signal.throwIfAborted();
      state = await this.#step(state, stage, planned, i);
    }
    return state;
  }

  async #begin(stage: PlannedStage): Promise<StageState> {
    const { base, platform } = stage;
    if (base.kind === 'stage') return childState(await this.stage(base.index));
    if (base.kind === 'scratch') return scratchState(platform);
    return this.#announced(this.#idOf(stage.index, null), async () => {
      if (base.kind === 'image') {
        const origin = `FROM ${base.name}@${base.image.manifestDigest}`;
        return { state: withOrigin(imageState(base.image.config, platform), origin), cached: true };
      }
      const tree = await this.#session.sourceTree(base);
      return contextState(this.#session, tree, platform, base.name);
    });
  }

  #step(
    state: StageState,
    stage: PlannedStage,
    planned: PlannedInstruction,
    index: number,
  ): Promise<StageState> {
    const position = this.#position(stage, index);
    return this.#announced(position.id, async () => {
      try {
        const unknown = await this.#unknownSource(planned);
        if (unknown !== null) return this.#unknown(state, unknown);
        const place = { stage: stage.index, instruction: index };
        const known = makesLayer(planned) ? this.#session.knownLayer(place) : null;
        const isKnown = known !== null && planned.instruction.kind !== 'run';
        const result = isKnown
          ? { state: withLayer(state, known, '', this.#session.epoch), cached: true }
          : await this.#execute(state, planned, { ...position, place });
        const layer = result.state.layers.at(-1);
        if (layer !== undefined && result.state.layers.length > state.layers.length)
          this.#session.trail.layerDone({ ...place, layer });
        return { ...result, state: withOrigin(result.state, position.name) };
      } catch (error) {
        throw placedAt(planned.instruction, error);
      }
    });
  }

  async #execute(
    state: StageState,
    { instruction, from, mountSources }: PlannedInstruction,
    { place, ...position }: StepPosition & { readonly place: StepPlace },
  ): Promise<StepResult> {
    switch (instruction.kind) {
      case 'run':
        return executeRun(this.#session, state, instruction, { position, place, mountSources });
      case 'copy':
      case 'add':
        return executeCopy(this.#session, state, instruction, from, position);
      case 'workdir':
        return executeWorkdir(this.#session, state, instruction, position);
      default:
        return { state: applyMetadata(state, instruction, this.#session), cached: true };
    }
  }

  /** In a forecast: the stage that a step takes files from and whose result would have to be made. */
  async #unknownSource({ from, mountSources = [] }: PlannedInstruction): Promise<string | null> {
    if (this.#session.cacheMode !== 'forecast') return null;
    for (const source of [from, ...mountSources]) {
      if (source?.kind !== 'stage' || !isUnknown((await this.stage(source.index)).layers)) continue;
      return this.#plan.stages.find(({ index }) => index === source.index)?.label ?? `${source.index}`;
    }
    return null;
  }

  #unknown(state: StageState, stage: string): StepResult {
    return {
      state: withLayer(state, unknownLayer, '', this.#session.epoch),
      cached: false,
      isUnknown: true,
      note: `it takes files of stage "${stage}", whose result is not known`,
    };
  }

  /** Does a step's work between its events: a start, then an end or an error. A step that nobody sees has none. */
  async #announced(id: number | null, work: () => Promise<StepResult>): Promise<StageState> {
    if (id === null) return (await work()).state;
    const { emit, now } = this.#session;
    emit({ type: 'step-start', id, at: now() });
    try {
      const { state, cached, note, isUnknown: unknown } = await work();
      const verdict: CacheVerdict = cached ? 'hit' : unknown ? 'unknown' : 'miss';
      const forecast = this.#session.cacheMode === 'forecast' ? { verdict } : {};
      emit({ type: 'step-end', id, at: now(), cached, ...(note ? { note } : {}), ...forecast });
      return state;
    } catch (error) {
      emit({ type: 'step-error', id, at: now(), error });
      throw error;
    }
  }

  #position(stage: PlannedStage, index: number): StepPosition {
    const { noCache, noCacheFilter } = this.#session.options;
    const isNamed =
      stage.name !== undefined && noCacheFilter?.some((name) => name.toLowerCase() === stage.name);
    const skipReason = noCache ? '--no-cache' : isNamed ? `--no-cache-filter ${stage.name}` : undefined;
    const planned = stage.instructions[index] as PlannedInstruction;
    return {
      id: this.#idOf(stage.index, index),
      name: nameOf(planned),
      site: {
        stagePlace: `${this.#session.place}#${stage.name ?? stage.index}`,
        index,
        siblings: stage.instructions.map(({ instruction }) => normalizeText(instruction.source)),
      },
      skipCache: skipReason !== undefined,
      ...(skipReason ? { skipReason } : {}),
    };
  }

  #idOf(stage: number, instruction: number | null): number | null {
    return (
      this.#steps.find((each) => each.stage === stage && each.instruction === instruction)?.step.id ?? null
    );
  }
}

/** An error without a place happened at the instruction. */
function placedAt(instruction: Instruction, error: unknown): unknown {
  if (!(error instanceof CairnError) || error.at !== undefined) return error;
  const { code, message, notes, help, exitCode } = error;
  return new CairnError(code, {
    message,
    notes,
    exitCode,
    at: instruction.span,
    ...(help ? { help } : {}),
    cause: error,
  });
}
