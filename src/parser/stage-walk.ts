import { CairnError, type Span } from '../errors/index.ts';
import { type Expansion, expandHeredoc, expandWord } from './expand.ts';
import type { ArgDeclaration, ArgInstruction, Dockerfile, Instruction, Stage, Word } from './instruction.ts';
import { type MountSpec, parseMount } from './mount.ts';

/** What is known of the image that a stage starts from. */
export interface BaseFacts {
  readonly env: readonly string[];
  readonly shell?: readonly string[];
  /** Its ONBUILD triggers, parsed. */
  readonly triggers?: readonly Instruction[];
  /** `os/arch[/variant]` of the image, and what the build asked for. */
  readonly platform?: { readonly actual: string; readonly expected: string };
}

/** What a build would know, as far as the walk is to know it, too. */
export interface WalkOptions {
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** BUILDPLATFORM, TARGETARCH and their like. Default: those of a linux/amd64 build on linux/amd64. */
  readonly automaticArgs?: Readonly<Record<string, string>>;
  /** The image of a stage, when it was resolved. Default: nothing is known, as for `scratch`. */
  readonly base?: (stage: Stage, image: string) => BaseFacts | undefined;
  /** Indices of the stages to look into. Default: all. */
  readonly stages?: ReadonlySet<number>;
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const platform = 'linux/amd64';
const defaultAutomaticArgs: Readonly<Record<string, string>> = {
  BUILDPLATFORM: platform,
  BUILDOS: 'linux',
  BUILDOSVERSION: '',
  BUILDARCH: 'amd64',
  BUILDVARIANT: '',
  TARGETPLATFORM: platform,
  TARGETOS: 'linux',
  TARGETOSVERSION: '',
  TARGETARCH: 'amd64',
  TARGETVARIANT: '',
  TARGETSTAGE: 'default',
};

/** Arguments that steer the builder and are never variables of a step. */
const nonVariables: ReadonlySet<string> = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** A declared argument with its value in force. */
export interface ArgValue {
  readonly declaration: ArgDeclaration;
  readonly value: string | undefined;
  /** Taken over from the ARGs before the first FROM. */
  readonly isGlobal: boolean;
}

/** Variables and settings at a point of a stage. */
export interface StageState {
  readonly env: Map<string, string>;
  /** Names of all ARGs so far, those without a value included. */
  readonly declared: Set<string>;
  shell: readonly string[] | undefined;
  hasWorkdir: boolean;
}

/** Told about each step of the walk. */
export interface WalkObserver {
  /** FROM, its words expanded; an expansion is undefined when it fails. */
  onFrom?(
    stage: Stage,
    from: { image: Expansion | undefined; platform: Expansion | undefined; globals: Globals },
  ): void;
  /** A stage that is looked into, before its first instruction. */
  onStage?(
    stage: Stage,
    start: { state: StageState; parent: Stage | undefined; facts: BaseFacts | undefined },
  ): void;
  /** An instruction, before it takes effect. `span` is FROM's for a trigger. */
  onInstruction?(step: Step): void;
  /** A word was expanded. */
  onExpansion?(step: Step, word: Word, expansion: Omit<Expansion, 'text'>): void;
  onArg?(step: Step, arg: ArgValue): void;
  onMount?(step: Step, mount: MountSpec): void;
}

export interface Step {
  readonly stage: Stage;
  readonly instruction: Instruction;
  readonly span: Span;
  readonly state: StageState;
}

/** The ARGs before the first FROM, evaluated. */
export interface Globals {
  readonly env: ReadonlyMap<string, string>;
  readonly args: readonly (ArgValue & {
    readonly instruction: ArgInstruction;
    readonly used: readonly string[];
  })[];
}

/** Evaluates the global ARGs: each default sees those before it, a build argument replaces it unevaluated. */
export function evaluateGlobals(
  dockerfile: Dockerfile,
  options: Pick<WalkOptions, 'buildArgs' | 'automaticArgs'>,
): Globals {
  const buildArgs = options.buildArgs ?? {};
  const env = new Map(Object.entries({ ...defaultAutomaticArgs, ...options.automaticArgs }));
  for (const name of env.keys()) if (Object.hasOwn(buildArgs, name)) env.set(name, buildArgs[name]!);
  const args: Globals['args'][number][] = [];
  for (const instruction of dockerfile.globalArgs) {
    for (const declaration of instruction.args) {
      const name = declaration.name.text;
      const given = Object.hasOwn(buildArgs, name) ? buildArgs[name] : undefined;
      const expansion =
        given === undefined && declaration.value !== undefined
          ? expandWord(declaration.value, (key) => env.get(key), { escape: dockerfile.directives.escape })
          : undefined;
      const value = given ?? expansion?.text;
      if (value !== undefined) env.set(name, value);
      args.push({ declaration, value, isGlobal: true, instruction, used: expansion?.used ?? [] });
    }
  }
  return { env, args };
}

/**
 * Walks through a Dockerfile's stages as a build would, as far as names and variables go, without building. What
 * cannot be expanded is passed over: the build reports it.
 */
export function walkStages(dockerfile: Dockerfile, options: WalkOptions, observer: WalkObserver): void {
  const globals = attempt(() => evaluateGlobals(dockerfile, options));
  if (globals === undefined) return;
  const walk = new Walk(dockerfile, { ...options, globals }, observer);
  for (const stage of dockerfile.stages) walk.readFrom(stage);
  for (const stage of dockerfile.stages) if (options.stages?.has(stage.index) ?? true) walk.enter(stage);
}

class Walk {
  private readonly dockerfile: Dockerfile;
  private readonly options: WalkOptions & { readonly globals: Globals };
  private readonly observer: WalkObserver;
  private readonly byName = new Map<string, Stage>();
  private readonly images = new Map<Stage, { image: string; parent: Stage | undefined }>();
  private readonly states = new Map<Stage, StageState>();

  constructor(
    dockerfile: Dockerfile,
    options: WalkOptions & { readonly globals: Globals },
    observer: WalkObserver,
  ) {
    this.dockerfile = dockerfile;
    this.options = options;
    this.observer = observer;
  }

  readFrom(stage: Stage): void {
    const { globals } = this.options;
    const expand = (word: Word | undefined): Expansion | undefined =>
      word && attempt(() => expandWord(word, (name) => globals.env.get(name), this.quoting()));
    const image = expand(stage.from.image);
    this.observer.onFrom?.(stage, { image, platform: expand(stage.from.platform), globals });
    const parent = image && this.byName.get(image.text);
    this.images.set(stage, { image: image?.text ?? '', parent });
    if (stage.name !== undefined) this.byName.set(stage.name, stage);
  }

  enter(stage: Stage): StageState {
    const known = this.states.get(stage);
    if (known !== undefined) return known;
    const { image, parent } = this.images.get(stage)!;
    const facts = parent === undefined ? this.options.base?.(stage, image) : undefined;
    const state = parent === undefined ? fromFacts(facts) : inherit(this.enter(parent));
    this.states.set(stage, state);
    this.observer.onStage?.(stage, { state, parent, facts });
    for (const instruction of this.triggersOf(parent) ?? facts?.triggers ?? []) {
      this.step({ stage, instruction, span: stage.from.span, state });
    }
    for (const instruction of stage.instructions)
      this.step({ stage, instruction, span: instruction.span, state });
    return state;
  }

  private triggersOf(parent: Stage | undefined): Instruction[] | undefined {
    return parent?.instructions.flatMap((one) =>
      one.kind === 'onbuild' && one.instruction !== undefined ? [one.instruction] : [],
    );
  }

  private step(step: Step): void {
    const { instruction, state } = step;
    this.observer.onInstruction?.(step);
    switch (instruction.kind) {
      case 'env': {
        // All words of the line see the variables from before it.
        const pairs = instruction.pairs.map(({ key, value }) => [
          this.expand(step, key),
          this.expand(step, value),
        ]);
        for (const [key, value] of pairs)
          if (key !== undefined && value !== undefined) state.env.set(key, value);
        return;
      }
      case 'label':
        for (const { key, value } of instruction.pairs)
          for (const word of [key, value]) this.expand(step, word);
        return;
      case 'arg':
        for (const declaration of instruction.args) this.declare(step, declaration);
        return;
      case 'run':
        for (const word of instruction.mounts) this.mount(step, word);
        return;
      case 'shell':
        state.shell = instruction.argv;
        return;
      case 'workdir':
        this.expand(step, instruction.path);
        state.hasWorkdir = true;
        return;
      default:
        for (const word of wordsOf(instruction)) this.expand(step, word);
        this.expandHeredocs(step);
    }
  }

  private expandHeredocs(step: Step): void {
    if (step.instruction.kind !== 'copy' && step.instruction.kind !== 'add') return;
    for (const heredoc of step.instruction.heredocs) {
      if (!heredoc.expand) continue;
      const expansion = attempt(() => expandHeredoc(heredoc.body, lookupIn(step.state)));
      if (expansion !== undefined) this.observer.onExpansion?.(step, heredoc.word, expansion);
    }
  }

  private mount(step: Step, word: Word): void {
    const unset: string[] = [];
    const used: string[] = [];
    const spec = attempt(() =>
      parseMount(word, (value) => {
        const expansion = expandWord(value, lookupIn(step.state), this.quoting());
        unset.push(...expansion.unset);
        used.push(...expansion.used);
        return expansion.text;
      }),
    );
    this.observer.onExpansion?.(step, word, { used, unset });
    if (spec !== undefined) this.observer.onMount?.(step, spec);
  }

  private declare(step: Step, declaration: ArgDeclaration): void {
    const { buildArgs = {}, globals } = this.options;
    const name = declaration.name.text;
    const given = Object.hasOwn(buildArgs, name) ? buildArgs[name] : undefined;
    const inherited = declaration.value === undefined ? globals.env.get(name) : undefined;
    let value = given ?? inherited;
    if (value === undefined && declaration.value !== undefined) value = this.expand(step, declaration.value);
    this.observer.onArg?.(step, {
      declaration,
      value,
      isGlobal: given === undefined && inherited !== undefined,
    });
    if (value !== undefined && !nonVariables.has(name)) step.state.env.set(name, value);
    step.state.declared.add(name);
  }

  private expand(step: Step, word: Word): string | undefined {
    const expansion = attempt(() => expandWord(word, lookupIn(step.state), this.quoting()));
    if (expansion !== undefined) this.observer.onExpansion?.(step, word, expansion);
    return expansion?.text;
  }

  private quoting(): { escape: Dockerfile['directives']['escape'] } {
    return { escape: this.dockerfile.directives.escape };
  }
}

/** The words of an instruction that are expanded, in BuildKit's order. */
function wordsOf(instruction: Instruction): Word[] {
  switch (instruction.kind) {
    case 'copy':
    case 'add': {
      const checksum = instruction.kind === 'add' ? instruction.checksum : undefined;
      const flags = [instruction.chown, instruction.chmod, checksum].filter((word) => word !== undefined);
      return [...flags, ...instruction.sources, instruction.destination];
    }
    case 'user':
      return [instruction.user];
    case 'volume':
      return [...instruction.paths];
    case 'stopsignal':
      return [instruction.signal];
    default:
      return [];
  }
}

function fromFacts(facts: BaseFacts | undefined): StageState {
  const env = new Map<string, string>();
  for (const entry of facts?.env ?? []) {
    const equals = entry.indexOf('=');
    env.set(equals < 0 ? entry : entry.slice(0, equals), equals < 0 ? '' : entry.slice(equals + 1));
  }
  if (!env.has('PATH')) env.set('PATH', path);
  const shell = facts?.shell?.length ? facts.shell : undefined;
  return { env, declared: new Set(), shell, hasWorkdir: false };
}

function inherit(parent: StageState): StageState {
  return { ...parent, env: new Map(parent.env), declared: new Set(parent.declared) };
}

function lookupIn(state: StageState): (name: string) => string | undefined {
  return (name) => state.env.get(name);
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (error instanceof CairnError) return undefined;
    throw error;
  }
}
