import type { Span } from '../errors/index.ts';
import type { Dockerfile, Stage } from './instruction.ts';
import type { Globals, WalkObserver, WalkOptions } from './stage-walk.ts';
import { evaluateGlobals, walkStages } from './stage-walk.ts';

/** One stage as `--call targets` lists it. */
export interface Target {
  readonly name?: string;
  readonly description?: string;
  /** What is built without `--target`. */
  readonly isDefault: boolean;
  /** Image or stage that it starts from, not expanded. */
  readonly base: string;
  readonly platform?: string;
  readonly span: Span;
}

/** The stages of a Dockerfile, in order. */
export function listTargets(dockerfile: Dockerfile): Target[] {
  return dockerfile.stages.map(({ index, name, description, from }) => ({
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    isDefault: index === dockerfile.stages.length - 1,
    base: from.image.text,
    ...(from.platform && { platform: from.platform.text }),
    span: from.span,
  }));
}

/** What a target can be given, as `--call outline` shows it. Each list is in the order of the lines. */
export interface Outline {
  readonly name?: string;
  readonly description?: string;
  readonly args: readonly OutlineArg[];
  readonly secrets: readonly OutlineMount[];
  readonly ssh: readonly OutlineMount[];
}

export interface OutlineArg {
  readonly name: string;
  /** With its build argument or default; empty when it has neither. */
  readonly value: string;
  readonly description?: string;
  readonly span: Span;
}

export interface OutlineMount {
  readonly id: string;
  readonly required: boolean;
  readonly span: Span;
}

/**
 * Collects what a target and the stages it needs declare: arguments in use, secrets, ssh agents.
 * @param target - the stage; the last one by default.
 */
export function outlineTarget(
  dockerfile: Dockerfile,
  target: Stage | undefined,
  options: WalkOptions = {},
): Outline {
  const stage = target ?? dockerfile.stages.at(-1)!;
  const needed = neededStages(dockerfile, stage, options);
  const collector = new Collector(needed);
  walkStages(dockerfile, { ...options, stages: needed }, collector);
  collector.addGlobals(evaluateGlobals(dockerfile, options));
  const byLine = (left: { span: Span }, right: { span: Span }): number => left.span.line - right.span.line;
  return {
    ...(stage.name !== undefined && { name: stage.name }),
    ...(stage.description !== undefined && { description: stage.description }),
    args: [...collector.args.values()].sort(byLine),
    secrets: [...collector.secrets.values()].sort(byLine),
    ssh: [...collector.ssh.values()].sort(byLine),
  };
}

class Collector implements WalkObserver {
  readonly args = new Map<string, OutlineArg>();
  readonly secrets = new Map<string, OutlineMount>();
  readonly ssh = new Map<string, OutlineMount>();
  /** Global arguments that are used, in FROM or by a redeclaration. */
  private readonly usedGlobals = new Set<string>();
  private readonly stages: ReadonlySet<number>;

  constructor(stages: ReadonlySet<number>) {
    this.stages = stages;
  }

  readonly onFrom: NonNullable<WalkObserver['onFrom']> = ({ index }, { image, platform }) => {
    if (!this.stages.has(index)) return;
    for (const name of [...(image?.used ?? []), ...(platform?.used ?? [])]) this.usedGlobals.add(name);
  };

  readonly onArg: NonNullable<WalkObserver['onArg']> = (step, { declaration, value, isGlobal }) => {
    const name = declaration.name.text;
    if (isGlobal) {
      this.usedGlobals.add(name);
      return;
    }
    const { description } = declaration;
    const { span } = step;
    if (this.args.has(name)) return;
    this.args.set(name, {
      name,
      value: value ?? '',
      ...(description !== undefined && { description }),
      span,
    });
  };

  readonly onMount: NonNullable<WalkObserver['onMount']> = ({ span }, mount) => {
    if (mount.type !== 'secret' && mount.type !== 'ssh') return;
    const mounts = mount.type === 'secret' ? this.secrets : this.ssh;
    if (!mounts.has(mount.id)) mounts.set(mount.id, { id: mount.id, required: mount.required, span });
  };

  /** Adds the global arguments in use, and those that their defaults are made of. */
  addGlobals(globals: Globals): void {
    for (const arg of [...globals.args].reverse()) {
      const name = arg.declaration.name.text;
      if (!this.usedGlobals.has(name)) continue;
      for (const other of arg.used) this.usedGlobals.add(other);
      if (this.args.has(name)) continue;
      const { description } = arg.declaration;
      const { span } = arg.instruction;
      this.args.set(name, {
        name,
        value: arg.value ?? '',
        ...(description !== undefined && { description }),
        span,
      });
    }
  }
}

/** The stage and those it builds on: by FROM, COPY --from and mounts. */
function neededStages(dockerfile: Dockerfile, target: Stage, options: WalkOptions): Set<number> {
  const parents = new Map<number, number>();
  const parentOf: WalkObserver = {
    onStage: (stage, { parent }) => {
      if (parent !== undefined) parents.set(stage.index, parent.index);
    },
  };
  walkStages(dockerfile, options, parentOf);
  const needed = new Set<number>();
  const visit = (index: number): void => {
    const stage = dockerfile.stages[index];
    if (stage === undefined || needed.has(index)) return;
    needed.add(index);
    const parent = parents.get(index);
    if (parent !== undefined) visit(parent);
    for (const name of sourcesOf(stage)) {
      const found = dockerfile.stages.findLast(
        (one) => one.name === name.toLowerCase() || String(one.index) === name,
      );
      if (found !== undefined) visit(found.index);
    }
  };
  visit(target.index);
  return needed;
}

function sourcesOf(stage: Stage): string[] {
  return stage.instructions.flatMap((instruction) => {
    if (instruction.kind === 'copy') return instruction.from ? [instruction.from.text] : [];
    if (instruction.kind !== 'run') return [];
    return instruction.mounts.flatMap((mount) => /(?:^|,)from=([^,]*)/i.exec(mount.text)?.[1] ?? []);
  });
}
