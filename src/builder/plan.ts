import { CairnError, type Span } from '../errors/index.ts';
import {
  canonicalName,
  familiarName,
  formatPlatform,
  hostPlatform,
  type ImageId,
  type Platform,
  parsePlatform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.ts';
import {
  type Dockerfile,
  expandWord,
  type Instruction,
  mountFrom,
  parseInstruction,
  parseMount,
  type Stage,
  type Word,
} from '../parser/index.ts';
import type { ImageRecord } from '../store/contracts.ts';
import type { FileContextSource, NamedContextSource } from './contracts.ts';
import { type LayoutSource, NamedSources } from './named-sources.ts';
import { refuseStageCycles } from './stage-cycle.ts';

/** Where a stage starts, or where files are copied from. */
export type StageSource =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'image'; readonly image: ImageRecord; readonly name: string }
  /** A named context that is files. */
  | { readonly kind: 'context'; readonly source: FileContextSource; readonly name: string };

export interface PlannedInstruction {
  readonly instruction: Instruction;
  /** It comes from a trigger of the base image or stage. */
  readonly isTrigger: boolean;
  /** COPY --from; absent for the build context. */
  readonly from?: StageSource;
  /** For each `RUN --mount`, what its `from` names; undefined for one without. Absent without any `from`. */
  readonly mountSources?: readonly (StageSource | undefined)[];
}

export interface PlannedStage {
  readonly index: number;
  /** Name shown to people: as declared, `stage-N`, or '' when the file has one stage. */
  readonly label: string;
  readonly name?: string;
  readonly base: StageSource;
  readonly from: Stage['from'];
  readonly platform: Platform;
  readonly instructions: readonly PlannedInstruction[];
}

export interface BuildPlan {
  /** Only the stages that the target needs, in file order. */
  readonly stages: readonly PlannedStage[];
  readonly target: number;
  /** ARGs before the first FROM and the platform arguments. */
  readonly globalArgs: ReadonlyMap<string, string>;
}

/** What a stage rests on, through the stages under it. */
export interface StageOrigin {
  /** Null when it starts with nothing, or with files. */
  readonly image: ImageId | null;
  /** Layers, and history entries, that are the image's. */
  readonly layers: number;
  readonly history: number;
}

/** The image under a stage of a plan. */
export function originOf(plan: BuildPlan, index: number): StageOrigin {
  const base = plan.stages.find((stage) => stage.index === index)?.base;
  if (base?.kind === 'stage') return originOf(plan, base.index);
  if (base?.kind !== 'image') return { image: null, layers: 0, history: 0 };
  const { id, config } = base.image;
  const { history = [] } = config;
  const layers = config.rootfs.diff_ids.length;
  // Layers that the history does not explain get entries when the image is written.
  const missing = Math.max(layers - history.filter((entry) => !entry.empty_layer).length, 0);
  return { image: id, layers, history: history.length + missing };
}

export interface PlanOptions {
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly target?: string;
  readonly platform?: Platform;
  /** Finds an image for FROM or --from. @throws {CairnError} IMAGE_NOT_FOUND */
  readonly findImage: (name: string, platform: Platform, at: Span) => Promise<ImageRecord>;
  readonly namedContexts?: Readonly<Record<string, NamedContextSource>>;
  /** Brings in an image of an OCI layout on the host. */
  readonly openLayout: (source: LayoutSource, platform: Platform) => Promise<ImageRecord>;
}

/**
 * Turns a Dockerfile into the stages that the target needs, with bases, triggers and sources resolved.
 * @throws {CairnError} STAGE_CYCLE, STAGE_NOT_FOUND, STAGE_NOT_YET_DEFINED, BASE_NAME_EMPTY, PLATFORM_EMPTY, IMAGE_NOT_FOUND …
 */
export async function planBuild(dockerfile: Dockerfile, options: PlanOptions): Promise<BuildPlan> {
  refuseStageCycles(dockerfile);
  const planner = new Planner(dockerfile, options);
  const target = findTarget(dockerfile, options.target);
  await planner.plan(target);
  return { stages: planner.planned(), target, globalArgs: planner.globalArgs };
}

/** The stage that a target names: by name in any case, else by index; the last one without a target. @throws {CairnError} STAGE_NOT_FOUND */
export function findTarget({ stages, file }: Dockerfile, target: string | undefined): number {
  if (target === undefined || target === '') return stages.length - 1;
  const named = stages.findLastIndex((stage) => stage.name === target.toLowerCase());
  if (named >= 0) return named;
  if (/^\d+$/.test(target) && Number(target) < stages.length) return Number(target);
  const names = stages.flatMap((stage) => (stage.name ? [stage.name] : []));
  throw new CairnError('STAGE_NOT_FOUND', {
    message: `target stage "${target}" could not be found`,
    help:
      names.length > 0
        ? `${file} has the stages ${names.join(', ')}`
        : `no stage of ${file} has a name; add one with FROM … AS ${target}`,
  });
}

class Planner {
  readonly #dockerfile: Dockerfile;
  readonly #options: PlanOptions;
  readonly #target: Platform;
  readonly #stages = new Map<number, PlannedStage>();
  readonly #named: NamedSources;
  readonly globalArgs: ReadonlyMap<string, string>;

  constructor(dockerfile: Dockerfile, options: PlanOptions) {
    this.#dockerfile = dockerfile;
    this.#options = options;
    this.#target = options.platform ?? hostPlatform();
    this.#named = new NamedSources(options.namedContexts ?? {});
    this.globalArgs = this.#evaluateGlobals();
  }

  planned(): readonly PlannedStage[] {
    return [...this.#stages.values()].sort((a, b) => a.index - b.index);
  }

  async plan(index: number): Promise<void> {
    if (this.#stages.has(index)) return;
    const stage = this.#dockerfile.stages[index] as Stage;
    const platform = this.#platformOf(stage);
    // A named context takes the place of a whole stage of that name (row K08).
    const replacement = stage.name ? await this.#namedSource(stage.name, platform, stage.from.span) : null;
    const base = replacement ?? (await this.#resolveBase(stage, platform));
    if (base.kind === 'stage') await this.plan(base.index);
    const triggers = replacement ? [] : this.#triggersOf(base, stage);
    const instructions = [
      ...triggers.map((instruction) => ({ instruction, isTrigger: true })),
      ...(replacement ? [] : stage.instructions).map((instruction) => ({ instruction, isTrigger: false })),
    ];
    const planned: PlannedInstruction[] = [];
    for (const each of instructions) {
      const from = await this.#sourceOf(each.instruction, stage);
      const mountSources = await this.#mountSourcesOf(each.instruction, stage);
      planned.push({ ...each, ...(from ? { from } : {}), ...(mountSources ? { mountSources } : {}) });
      for (const source of [from, ...(mountSources ?? [])])
        if (source?.kind === 'stage') await this.plan(source.index);
    }
    const label = stage.name ?? (this.#dockerfile.stages.length > 1 ? `stage-${index}` : '');
    const basePlatform =
      base.kind === 'stage' ? (this.#stages.get(base.index) as PlannedStage).platform : platform;
    this.#stages.set(index, {
      index,
      label,
      ...(stage.name ? { name: stage.name } : {}),
      base,
      from: stage.from,
      platform: basePlatform,
      instructions: planned,
    });
  }

  #evaluateGlobals(): Map<string, string> {
    const host = hostPlatform();
    const target = this.#target;
    const targetName = this.#options.target || this.#dockerfile.stages.at(-1)?.name || 'default';
    const automatic: [string, string][] = [
      ['BUILDPLATFORM', formatPlatform(host)],
      ['BUILDOS', host.os],
      ['BUILDOSVERSION', host['os.version'] ?? ''],
      ['BUILDARCH', host.architecture],
      ['BUILDVARIANT', host.variant ?? ''],
      ['TARGETPLATFORM', formatPlatform(target)],
      ['TARGETOS', target.os],
      ['TARGETOSVERSION', target['os.version'] ?? ''],
      ['TARGETARCH', target.architecture],
      ['TARGETVARIANT', target.variant ?? ''],
      ['TARGETSTAGE', targetName],
    ];
    const given = (name: string) =>
      Object.hasOwn(this.#options.buildArgs, name) ? this.#options.buildArgs[name] : undefined;
    const globals = new Map(automatic.map(([name, value]) => [name, given(name) ?? value]));
    for (const { name, value } of this.#dockerfile.globalArgs.flatMap((instruction) => instruction.args)) {
      const inForce = given(name.text) ?? (value ? this.#expand(value, globals) : undefined);
      if (inForce !== undefined) globals.set(name.text, inForce);
    }
    return globals;
  }

  #expand(word: Word, values: ReadonlyMap<string, string>): string {
    return expandWord(word, (name) => values.get(name), { escape: this.#dockerfile.directives.escape }).text;
  }

  #platformOf(stage: Stage): Platform {
    const word = stage.from.platform;
    if (!word) return this.#target;
    const text = this.#expand(word, this.globalArgs);
    if (text === '')
      throw new CairnError('PLATFORM_EMPTY', {
        message: `the platform "${word.text}" is empty after expansion`,
        at: word.span,
        help: 'declare the variable with a default before the first FROM, or pass it with --build-arg',
      });
    return parsePlatform(text, hostPlatform());
  }

  async #resolveBase(stage: Stage, platform: Platform): Promise<StageSource> {
    const word = stage.from.image;
    const name = this.#expand(word, this.globalArgs);
    if (name === '')
      throw new CairnError('BASE_NAME_EMPTY', {
        message: `base name (${word.text}) should not be blank`,
        at: word.span,
        help: 'only ARGs before the first FROM can be used here; give the variable a default or pass --build-arg',
      });
    // An index is not valid in FROM, and a stage name beats an image of that name (row I04). Stage names are kept in lower
    // case, and FROM alone looks them up as written: `FROM Base` never means a stage (BuildKit 28.5; row I02).
    const named = this.#dockerfile.stages.slice(0, stage.index).findLast((each) => each.name === name);
    if (named !== undefined) return { kind: 'stage', index: named.index };
    if (name === 'scratch') return { kind: 'scratch' };
    return this.#namedOrImage(name, platform, word.span);
  }

  async #namedOrImage(name: string, platform: Platform, at: Span): Promise<StageSource> {
    return (await this.#namedSource(name, platform, at)) ?? this.#image(name, platform, at);
  }

  /** What a named context says that a name means. */
  async #namedSource(name: string, platform: Platform, at: Span): Promise<StageSource | null> {
    const source = this.#named.find(name, platform);
    if (source === null) return null;
    if (source.kind === 'oci-layout')
      return { kind: 'image', image: await this.#options.openLayout(source, platform), name };
    if (source.kind !== 'image') return { kind: 'context', source, name };
    return source.name === 'scratch' ? { kind: 'scratch' } : this.#image(source.name, platform, at);
  }

  async #image(name: string, platform: Platform, at: Span): Promise<StageSource> {
    const reference = referenceAt(name, at);
    const image = await this.#options.findImage(canonicalName(reference), platform, at);
    return { kind: 'image', image, name: familiarName(reference) };
  }

  /** The last stage of that name before stage `before`. */
  #stageNamed(name: string, before: number): number | null {
    const wanted = name.toLowerCase();
    for (let i = before - 1; i >= 0; i--) if (this.#dockerfile.stages[i]?.name === wanted) return i;
    return null;
  }

  #triggersOf(base: StageSource, stage: Stage): Instruction[] {
    const texts =
      base.kind === 'image'
        ? (base.image.config.config?.OnBuild ?? [])
        : base.kind === 'stage'
          ? (this.#dockerfile.stages[base.index] as Stage).instructions.flatMap((instruction) =>
              instruction.kind === 'onbuild' ? [instruction.trigger] : [],
            )
          : [];
    const options = { file: this.#dockerfile.file, escape: '\\' as const, at: stage.from.span };
    return texts.map((text) => parseInstruction(text, options));
  }

  async #sourceOf(instruction: Instruction, stage: Stage): Promise<StageSource | null> {
    if (instruction.kind !== 'copy' || instruction.from === undefined) return null;
    return this.resolveSource(instruction.from, stage);
  }

  async #mountSourcesOf(instruction: Instruction, stage: Stage): Promise<PlannedInstruction['mountSources']> {
    if (instruction.kind !== 'run') return undefined;
    // What has nothing to expand is judged now, before anything runs.
    for (const word of instruction.mounts)
      if (!/[$'"\\`]/.test(word.text)) parseMount(word, (value) => value);
    const names = instruction.mounts.map((word) => mountFrom(word));
    if (names.every((name) => name === undefined)) return undefined;
    const sources: (StageSource | undefined)[] = [];
    for (const [i, word] of instruction.mounts.entries()) {
      const text = names[i];
      sources.push(text === undefined ? undefined : await this.#resolveNamed({ ...word, text }, stage));
    }
    return sources;
  }

  /** COPY `--from`: a stage before this one by name or index, else an image. */
  async resolveSource(from: Word, stage: Stage): Promise<StageSource> {
    const name = from.text;
    if (!/^\d+$/.test(name)) return this.#resolveNamed(from, stage);
    const index = Number(name);
    if (index >= this.#dockerfile.stages.length)
      throw new CairnError('STAGE_NOT_FOUND', {
        message: `invalid stage index ${name}: ${this.#dockerfile.file} has ${this.#dockerfile.stages.length}`,
        at: from.span,
        help: 'stages count from 0; naming them (FROM … AS name) is safer',
      });
    if (index >= stage.index) throw this.#notYetDefined(from, stage);
    return { kind: 'stage', index };
  }

  /** A stage before this one by name, else an image: all that the `from` of a mount can be. */
  async #resolveNamed(from: Word, stage: Stage): Promise<StageSource> {
    const name = from.text;
    const before = this.#stageNamed(name, stage.index);
    if (before !== null) return { kind: 'stage', index: before };
    const later = this.#stageNamed(name, this.#dockerfile.stages.length);
    if (later !== null) throw this.#notYetDefined(from, stage);
    if (name === 'scratch') return { kind: 'scratch' };
    return this.#namedOrImage(name, this.#target, from.span);
  }

  #notYetDefined(from: Word, stage: Stage): CairnError {
    const own = stage.name ?? `stage-${stage.index}`;
    return new CairnError('STAGE_NOT_YET_DEFINED', {
      message: `cannot use files of stage "${from.text}", it needs to be defined before current stage "${own}"`,
      at: from.span,
      help: 'move that stage up, or name an earlier one',
    });
  }
}

/** @throws {CairnError} REFERENCE_INVALID at the place of the name */
function referenceAt(name: string, at: Span): Reference {
  try {
    return withDefaultTag(parseReference(name));
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    const { code, message } = error;
    const isStageLike = /^[A-Za-z][\w.-]*$/.test(name);
    throw new CairnError(code, {
      message,
      at,
      help: isStageLike
        ? `names are in lower case, of stages too: write "${name.toLowerCase()}"`
        : (error.help ?? 'give NAME[:TAG][@DIGEST]'),
      cause: error,
    });
  }
}
