import { CairnError } from '../errors/index.ts';
import type { BuildStep } from './contracts.ts';
import type { BuildPlan, PlannedInstruction, PlannedStage } from './plan.ts';
import type { BuildSession } from './session.ts';
import { childState, imageState, type StageState, scratchState } from './stage-state.ts';
import { contextState } from './steps/context-base.ts';
import { executeCopy } from './steps/copy.ts';
import { applyMetadata } from './steps/metadata.ts';
import type { StepPosition } from './steps/position.ts';
import { executeRun } from './steps/run.ts';
import { executeWorkdir } from './steps/workdir.ts';

/** A numbered step with the instruction it stands for (null for the stage's base image). */
interface NumberedStep {
  readonly step: BuildStep;
  readonly stage: number;
  readonly instruction: number | null;
}

/** The steps that people see, in file order: base images, and instructions that make layers. */
export function numberSteps(plan: BuildPlan): readonly NumberedStep[] {
  const numbered: NumberedStep[] = [];
  for (const stage of plan.stages) {
    const shown = [
      ...('name' in stage.base ? [{ instruction: null, name: `FROM ${stage.base.name}` }] : []),
      ...stage.instructions.flatMap((planned, i) =>
        makesLayer(planned) ? [{ instruction: i, name: nameOf(planned) }] : [],
      ),
    ];
    for (const [i, { instruction, name }] of shown.entries())
      numbered.push({
        step: { id: numbered.length + 1, stage: stage.label, index: i + 1, total: shown.length, name },
        stage: stage.index,
        instruction,
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
    if (stage.base.kind === 'stage') return childState(await this.stage(stage.base.index));
    if (stage.base.kind === 'scratch') return scratchState(stage.platform);
    const id = this.#idOf(stage.index, null) as number;
    if (stage.base.kind === 'context') {
      const tree = await this.#session.sourceTree(stage.base);
      return contextState(this.#session, tree, stage.platform, { id, place: '', skipCache: false });
    }
    const { emit, now } = this.#session;
    emit({ type: 'step-start', id, at: now() });
    emit({ type: 'step-end', id, at: now(), cached: true });
    return imageState(stage.base.image.config, stage.platform);
  }

  async #step(
    state: StageState,
    stage: PlannedStage,
    { instruction, from, mountSources }: PlannedInstruction,
    index: number,
  ): Promise<StageState> {
    const position = this.#position(stage, index);
    try {
      switch (instruction.kind) {
        case 'run':
          return await executeRun(this.#session, state, instruction, { position, mountSources });
        case 'copy':
        case 'add':
          return await executeCopy(this.#session, state, instruction, from, position);
        case 'workdir':
          return await executeWorkdir(this.#session, state, instruction, position);
        default:
          return applyMetadata(state, instruction, this.#session);
      }
    } catch (error) {
      if (!(error instanceof CairnError) || error.at !== undefined) throw error;
      const { code, message, notes, help, exitCode } = error;
      throw new CairnError(code, {
        message,
        notes,
        exitCode,
        at: instruction.span,
        ...(help ? { help } : {}),
        cause: error,
      });
    }
  }

  #position(stage: PlannedStage, index: number): StepPosition {
    const { noCache, noCacheFilter } = this.#session.options;
    const named =
      stage.name !== undefined && noCacheFilter?.some((name) => name.toLowerCase() === stage.name);
    return {
      id: this.#idOf(stage.index, index),
      place: `${this.#session.place}#${stage.index}.${index}`,
      skipCache: noCache === true || named === true,
    };
  }

  #idOf(stage: number, instruction: number | null): number | null {
    return (
      this.#steps.find((each) => each.stage === stage && each.instruction === instruction)?.step.id ?? null
    );
  }
}
