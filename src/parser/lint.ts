import { CairnError, type Span } from '../errors/index.ts';
import {
  type CheckOptions,
  defaultChecks,
  isEnabled,
  parseCheckOptions,
  withComments,
} from './check-options.ts';
import { cleanPath } from './clean-path.ts';
import type { Diagnostic } from './diagnostic.ts';
import { type Expansion, expandWord, expandWords } from './expand.ts';
import type { Dockerfile, FromInstruction, Instruction, Stage, Word } from './instruction.ts';
import { type Rule, type RuleName, rules } from './lint-rules.ts';
import { parsePorts } from './ports.ts';
import { isSecretName } from './secret-name.ts';
import {
  type ArgValue,
  type BaseFacts,
  evaluateGlobals,
  type Globals,
  type StageState,
  type Step,
  type WalkObserver,
  type WalkOptions,
  walkStages,
} from './stage-walk.ts';
import { suggest } from './suggest.ts';

export interface LintOptions extends WalkOptions {
  /** Replaces the `# check=` directive (the build argument BUILDKIT_DOCKERFILE_CHECK). */
  readonly checks?: CheckOptions;
  /**
   * Whether the ignore file excludes a source of COPY or ADD (a cleaned path; `.` and `/` for the root). Leave it out
   * when there is no ignore file or it has an exception (`!`), as BuildKit does.
   */
  readonly isIgnored?: (path: string) => boolean;
  /** Whether a text is an image reference. Default: anything but the empty text is. */
  readonly isImageName?: (text: string) => boolean;
}

export interface LintResult {
  /** In the order of their lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** Findings are to fail the build (`# check=error=true`). */
  readonly isError: boolean;
}

/**
 * Runs BuildKit's build checks.
 * @throws {CairnError} DIRECTIVE_INVALID for a `# check=` that cannot be read
 */
export function lint(dockerfile: Dockerfile, options: LintOptions = {}): LintResult {
  const { check } = dockerfile.directives;
  const checks = options.checks ?? (check ? parseCheckOptions(check.text, check.span) : defaultChecks);
  const linter = new Linter(dockerfile, options, checks);
  linter.checkText();
  linter.checkDefaultImages();
  walkStages(dockerfile, options, linter);
  const diagnostics = linter.findings.sort((left, right) => left.span.line - right.span.line);
  return { diagnostics, isError: checks.isError && diagnostics.length > 0 };
}

/**
 * Fails a build whose Dockerfile asks for that (`# check=error=true`).
 * @throws {CairnError} CHECK_FAILED, with the findings as notes
 */
export function failOnFindings({ diagnostics, isError }: LintResult): void {
  if (!isError) return;
  const names = [...new Set(diagnostics.map(({ rule }) => rule))].join(', ');
  throw new CairnError('CHECK_FAILED', {
    message: `build checks found something: ${names}`,
    notes: diagnostics.map(({ rule, message, span }) => ({ message: `${message} (${rule})`, at: span })),
    help: 'mend it, add "# check=skip=RULE" above the instruction, or take error=true out of the check directive',
  });
}

type Once = 'CMD' | 'ENTRYPOINT' | 'HEALTHCHECK';

class Linter implements WalkObserver {
  readonly findings: Diagnostic[] = [];
  private readonly dockerfile: Dockerfile;
  private readonly options: LintOptions;
  private readonly checks: CheckOptions;
  /** Where a stage has its last CMD, ENTRYPOINT, HEALTHCHECK so far. */
  private last = new Map<Once, Span>();

  constructor(dockerfile: Dockerfile, options: LintOptions, checks: CheckOptions) {
    this.dockerfile = dockerfile;
    this.options = options;
    this.checks = checks;
  }

  /** What the text alone shows. */
  checkText(): void {
    const { stages, globalArgs, warnings } = this.dockerfile;
    for (const { span } of warnings) this.report(rules.NoEmptyContinuation, { span });
    for (const instruction of globalArgs) this.checkInstructionText(instruction);
    for (const stage of stages) {
      this.checkFromText(stage);
      for (const instruction of stage.instructions) this.checkInstructionText(instruction);
    }
    this.checkStageNames(stages);
    this.checkKeywordCasing(stages);
  }

  private checkInstructionText(instruction: Instruction): void {
    const place = { span: instruction.span, comments: instruction.comments };
    if (instruction.kind === 'maintainer') this.report(rules.MaintainerDeprecated, place);
    if (instruction.kind === 'arg') {
      this.checkDescription(
        'ARG',
        instruction,
        instruction.args.map((arg) => arg.name.text),
      );
    }
  }

  private checkFromText(stage: Stage): void {
    const { alias, as, keyword, span, comments } = stage.from;
    if (alias === undefined || as === undefined || stage.name === undefined) return;
    if (alias.text !== stage.name) this.report(rules.StageNameCasing, { span, comments }, alias.text);
    const wanted = casingOf(keyword);
    if (wanted !== undefined && casingOf(as.text) !== wanted) {
      this.report(rules.FromAsCasing, { span, comments }, keyword, as.text);
    }
    this.checkDescription('FROM', stage.from, [stage.name]);
  }

  private checkDescription(
    keyword: string,
    at: Instruction | FromInstruction,
    names: readonly string[],
  ): void {
    const comment = at.comments.at(-1);
    if (comment === undefined || names.includes(comment.split(' ', 1)[0]!)) return;
    const example = names.length > 1 ? '<arg_key>' : names[0]!;
    this.report(
      rules.InvalidDefinitionDescription,
      { span: at.span, comments: at.comments },
      keyword,
      example,
    );
  }

  private checkStageNames(stages: readonly Stage[]): void {
    const seen = new Set<string>();
    for (const { name, from } of stages) {
      if (name === undefined) continue;
      if (name === 'scratch' || name === 'context') this.report(rules.ReservedStageName, from, name);
      if (seen.has(name)) this.report(rules.DuplicateStageName, from, name);
      seen.add(name);
    }
  }

  /** Upper case unless most instructions are lower case; ARGs before the first FROM do not count. */
  private checkKeywordCasing(stages: readonly Stage[]): void {
    const all = stages.flatMap((stage) => [stage.from, ...stage.instructions]);
    const count = (casing: string): number =>
      all.filter(({ keyword }) => casingOf(keyword) === casing).length;
    const majority = count('lower') > count('upper') ? 'lower' : 'upper';
    for (const { keyword, span } of all) {
      if (casingOf(keyword) !== majority) {
        this.report(rules.ConsistentInstructionCasing, { span }, keyword, `${majority}case`);
      }
    }
  }

  /** Whether FROM works when no build argument is given. */
  checkDefaultImages(): void {
    const { automaticArgs } = this.options;
    const isImageName = this.options.isImageName ?? ((text: string): boolean => text !== '');
    try {
      const { env } = evaluateGlobals(this.dockerfile, automaticArgs ? { automaticArgs } : {});
      for (const { from } of this.dockerfile.stages) {
        const image = expandWord(from.image, (name) => env.get(name), this.dockerfile.directives).text;
        if (!isImageName(image)) this.report(rules.InvalidDefaultArgInFrom, from, from.image.text);
      }
    } catch {
      // The build reports what cannot be expanded.
    }
  }

  onFrom(
    stage: Stage,
    {
      image,
      platform,
      globals,
    }: { image: Expansion | undefined; platform: Expansion | undefined; globals: Globals },
  ): void {
    const { from } = stage;
    const known = [...globals.args.map((arg) => arg.declaration.name.text), ...globals.env.keys()];
    for (const name of [...(image?.unset ?? []), ...(platform?.unset ?? [])]) {
      if (!known.includes(name)) {
        this.report(rules.UndefinedArgInFrom, from, name, suggest(name, known) ?? '');
      }
    }
    if (platform === undefined || from.platform === undefined) return;
    const target = globals.env.get('TARGETPLATFORM');
    const { used, unset, text } = platform;
    if (used.length === 1 && unset.length === 0 && used[0] === 'TARGETPLATFORM' && text === target) {
      this.report(rules.RedundantTargetPlatform, from, from.platform.text);
    }
    if (used.length === 0 && unset.length === 0 && isFixedPlatform(text, stage.name ?? '')) {
      this.report(rules.FromPlatformFlagConstDisallowed, from, text);
    }
  }

  onStage(
    stage: Stage,
    { facts }: { state: StageState; parent: Stage | undefined; facts: BaseFacts | undefined },
  ): void {
    this.last = new Map();
    const { platform } = facts ?? {};
    if (platform === undefined || osAndArch(platform.actual) === osAndArch(platform.expected)) return;
    const { span, image } = stage.from;
    this.report(rules.InvalidBaseImagePlatform, { span }, image.text, platform.expected, platform.actual);
  }

  onInstruction(step: Step): void {
    const { instruction } = step;
    switch (instruction.kind) {
      case 'env':
      case 'label':
        for (const { key, legacy } of instruction.pairs) {
          if (legacy) this.reportAt(step, rules.LegacyKeyValueFormat, instruction.keyword);
          if (instruction.kind === 'env') this.checkSecret(step, 'ENV', this.expanded(step, key) ?? key.text);
        }
        return;
      case 'cmd':
      case 'entrypoint':
        this.checkOnce(step, instruction.kind === 'cmd' ? 'CMD' : 'ENTRYPOINT');
        if (instruction.command.form === 'shell' && step.state.shell === undefined) {
          this.reportAt(step, rules.JSONArgsRecommended, instruction.keyword);
        }
        return;
      case 'healthcheck':
        this.checkOnce(step, 'HEALTHCHECK');
        return;
      case 'workdir': {
        const path = this.expanded(step, instruction.path);
        if (path !== undefined && !step.state.hasWorkdir && !path.startsWith('/')) {
          this.reportAt(step, rules.WorkdirRelativePath, path);
        }
        return;
      }
      case 'expose':
        for (const word of instruction.ports) this.checkPorts(step, word);
        return;
      case 'copy':
      case 'add':
        if (instruction.kind === 'add' || instruction.from === undefined)
          this.checkIgnored(step, instruction.sources);
        return;
      default:
    }
  }

  onArg(step: Step, { declaration }: ArgValue): void {
    this.checkSecret(step, 'ARG', declaration.name.text);
  }

  onExpansion(step: Step, word: Word, { unset }: Omit<Expansion, 'text'>): void {
    const { env, declared } = step.state;
    for (const name of unset) {
      if (declared.has(name) || name.startsWith('BUILDKIT_SBOM_SCAN_')) continue;
      this.reportAt({ ...step, place: word.span }, rules.UndefinedVar, name, suggest(name, env.keys()) ?? '');
    }
  }

  private checkOnce(step: Step, name: Once): void {
    const earlier = this.last.get(name);
    const { comments, keyword } = step.instruction;
    if (earlier !== undefined)
      this.report(rules.MultipleInstructionsDisallowed, { span: earlier, comments }, keyword);
    this.last.set(name, step.span);
  }

  private checkSecret(step: Step, keyword: string, key: string): void {
    if (isSecretName(key)) this.reportAt(step, rules.SecretsUsedInArgOrEnv, keyword, key);
  }

  private checkPorts(step: Step, word: Word): void {
    try {
      const { words } = expandWords(word, (name) => step.state.env.get(name), this.dockerfile.directives);
      for (const text of words) {
        const { hasUpperCaseProtocol, hasHostPart } = parsePorts(text, word);
        if (hasUpperCaseProtocol) this.reportAt({ ...step, place: word.span }, rules.ExposeProtoCasing, text);
        if (hasHostPart) this.reportAt({ ...step, place: word.span }, rules.ExposeInvalidFormat, text);
      }
    } catch {
      // The build reports it.
    }
  }

  private checkIgnored(step: Step, sources: readonly Word[]): void {
    const { isIgnored } = this.options;
    if (isIgnored === undefined) return;
    const verb = step.instruction.kind === 'add' ? 'Add' : 'Copy';
    for (const word of sources) {
      const source = this.expanded(step, word);
      if (source === undefined || isRemote(source)) continue;
      const path = cleanPath(source);
      if (isIgnored(path)) this.reportAt({ ...step, place: word.span }, rules.CopyIgnoredFile, verb, path);
    }
  }

  private expanded({ state }: Step, word: Word): string | undefined {
    try {
      return expandWord(word, (name) => state.env.get(name), this.dockerfile.directives).text;
    } catch {
      return undefined;
    }
  }

  private reportAt<P extends readonly string[]>(
    step: Step & { place?: Span },
    rule: Rule<P>,
    ...parameters: P
  ): void {
    const { span, place } = step;
    const { comments } = step.instruction;
    this.report(
      rule,
      { span, comments, ...(place && span === step.instruction.span && { place }) },
      ...parameters,
    );
  }

  private report<P extends readonly string[]>(
    rule: Rule<P>,
    { span, comments = [], place }: { span: Span; comments?: readonly string[]; place?: Span },
    ...parameters: P
  ): void {
    const checks = withComments(this.checks, comments);
    if (!isEnabled(checks, rule.name as RuleName, rule.isExperimental)) return;
    const finding = rule.diagnose(span, ...parameters);
    this.findings.push(place === undefined ? finding : { ...finding, place });
  }
}

function casingOf(word: string): 'lower' | 'upper' | undefined {
  if (word === word.toLowerCase()) return 'lower';
  return word === word.toUpperCase() ? 'upper' : undefined;
}

const architectures: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  armhf: 'arm',
  armel: 'arm',
  i386: '386',
};

/** A platform that is written out, and that the stage's name does not give as its reason. */
function isFixedPlatform(text: string, stageName: string): boolean {
  if (!/^[A-Za-z0-9_.-]+(?:\([^)]*\))?(?:\/[A-Za-z0-9_.-]+){0,2}$/.test(text)) return false;
  const parts = text.toLowerCase().split('/');
  const [os, arch] = parts.length === 1 ? partsOfOne(parts[0]!) : [parts[0]!, parts[1]!];
  const normal = Object.hasOwn(architectures, arch) ? architectures[arch]! : arch;
  return !(stageName.includes(os) || stageName.includes(normal));
}

function partsOfOne(part: string): [string, string] {
  return ['linux', 'windows', 'darwin', 'freebsd'].includes(part) ? [part, 'amd64'] : ['linux', part];
}

function osAndArch(platform: string): string {
  return platform.split('/').slice(0, 2).join('/');
}

function isRemote(source: string): boolean {
  return /^(?:https?:\/\/|git:\/\/|ssh:\/\/|git@)/.test(source);
}
