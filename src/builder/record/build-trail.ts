import type { DiffId } from '../../oci/index.ts';
import type { RunInstruction } from '../../parser/index.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import type { RunAgain } from '../verify/run-again.ts';
import { type UsedFile, UsedFiles } from './used-files.ts';

/** Where an instruction stands: number of its stage, and its own in the stage (triggers of the base count first). */
export interface StepPlace {
  readonly stage: number;
  readonly instruction: number;
}

/** A step and the layer that it gave. */
export interface StepLayer extends StepPlace {
  readonly layer: DiffId;
}

/** A RUN that a build has executed or found, and how to execute it once more. */
export interface RunStep extends StepLayer {
  readonly run: RunInstruction;
  readonly argv: readonly string[];
  /** The layers that it ran on, base first. */
  readonly parent: readonly DiffId[];
  readonly again: RunAgain;
}

/** What a build leaves for its record and for verification. One object for each build; filled while steps are done. */
export class BuildTrail {
  readonly #contexts = new Map<string, Map<SourceTree, UsedFiles>>();
  readonly #layers = new Map<string, StepLayer>();
  readonly #runs: RunStep[] = [];

  /** The files of a context, watched. @param name - of a named context; '' for the build context */
  watch(name: string, tree: SourceTree): SourceTree {
    const watched = this.#contexts.get(name) ?? new Map<SourceTree, UsedFiles>();
    this.#contexts.set(name, watched);
    const known = watched.get(tree) ?? new UsedFiles(tree);
    watched.set(tree, known);
    return known;
  }

  layerDone(step: StepLayer): void {
    this.#layers.set(`${step.stage}.${step.instruction}`, step);
  }

  runDone(step: RunStep): void {
    this.#runs.push(step);
  }

  /** What was used of each context, in the order of their names. */
  files(): readonly { readonly context: string; readonly files: readonly UsedFile[] }[] {
    return [...this.#contexts]
      .map(([context, trees]) => ({ context, files: [...trees.values()].flatMap((tree) => tree.used()) }))
      .filter(({ files }) => files.length > 0)
      .sort((a, b) => (a.context < b.context ? -1 : 1));
  }

  /** In the order of the Dockerfile. */
  layers(): readonly StepLayer[] {
    return [...this.#layers.values()].sort(byPlace);
  }

  /** In the order of the Dockerfile. */
  runs(): readonly RunStep[] {
    return [...this.#runs].sort(byPlace);
  }
}

function byPlace(a: StepPlace, b: StepPlace): number {
  return a.stage - b.stage || a.instruction - b.instruction;
}
