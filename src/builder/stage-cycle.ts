import { CairnError, type Span } from '../errors/index.ts';
import { type Dockerfile, type Instruction, mountFrom, type Stage } from '../parser/index.ts';

/** A stage that another one needs, and where it says so. */
interface Need {
  readonly index: number;
  readonly at: Span;
}

/**
 * Refuses stages that need each other in a circle, by COPY --from or mounts; as in BuildKit, also such as the target does not
 * reach. (FROM alone makes no circle: it sees earlier stages only.)
 * @throws {CairnError} STAGE_CYCLE at the instruction that closes the circle
 */
export function refuseStageCycles({ stages }: Dockerfile): void {
  const needs = stages.map((stage) => needsOf(stage, stages));
  const done = new Set<number>();
  const visit = (index: number, path: readonly number[]): void => {
    if (done.has(index)) return;
    for (const need of needs[index] ?? []) {
      const start = [...path, index].indexOf(need.index);
      if (start >= 0) throw cycle(stages, [...path, index].slice(start), need.at);
      visit(need.index, [...path, index]);
    }
    done.add(index);
  };
  for (const stage of stages) visit(stage.index, []);
}

function needsOf(stage: Stage, stages: readonly Stage[]): readonly Need[] {
  const base = lastNamed(stage.from.image.text, stages.slice(0, stage.index));
  return [
    ...(base === null ? [] : [{ index: base, at: stage.from.span }]),
    ...stage.instructions.flatMap((instruction) =>
      namesOf(instruction).flatMap((name) => {
        const index =
          /^\d+$/.test(name) && instruction.kind === 'copy' ? Number(name) : findStage(name, stage, stages);
        return index === null || index >= stages.length ? [] : [{ index, at: instruction.span }];
      }),
    ),
  ];
}

function namesOf(instruction: Instruction): readonly string[] {
  if (instruction.kind === 'copy') return instruction.from === undefined ? [] : [instruction.from.text];
  if (instruction.kind !== 'run') return [];
  return instruction.mounts.flatMap((word) => mountFrom(word) ?? []);
}

/** An earlier stage of that name, else a later one or the stage itself. */
function findStage(name: string, stage: Stage, stages: readonly Stage[]): number | null {
  return lastNamed(name, stages.slice(0, stage.index)) ?? lastNamed(name, stages);
}

function lastNamed(name: string, stages: readonly Stage[]): number | null {
  const wanted = name.toLowerCase();
  return stages.findLast((stage) => stage.name === wanted)?.index ?? null;
}

function cycle(stages: readonly Stage[], members: readonly number[], at: Span): CairnError {
  const names = members.map((index) => stages[index]?.name ?? `stage-${index}`);
  return new CairnError('STAGE_CYCLE', {
    message: `circular dependency detected on stage: ${[...names, names[0]].join(' needs ')}`,
    at,
    help: 'move what both need to a stage of its own, before them',
  });
}
