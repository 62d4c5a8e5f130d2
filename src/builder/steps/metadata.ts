import { CairnError } from '../../errors/index.ts';
import {
  type ArgInstruction,
  type Command,
  checkSignal,
  type EscapeCharacter,
  expandWord,
  expandWords,
  type HealthcheckInstruction,
  type Instruction,
  parsePorts,
  type Word,
} from '../../parser/index.ts';
import { formatGoDuration, quoteGoList, quoteGoRune } from '../go-format.ts';
import { type StageState, shellOf, withConfig, withEnv, withHistory, withVariable } from '../stage-state.ts';

/** What every instruction of a build may look at. */
export interface InstructionScope {
  readonly escape: EscapeCharacter;
  readonly epoch: number;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** ARGs before the first FROM and the platform arguments: what `ARG X` without a value imports. */
  readonly globalArgs: ReadonlyMap<string, string>;
}

/** Instructions that make no layer. */
export type MetadataInstruction = Exclude<Instruction, { readonly kind: 'run' | 'copy' | 'add' | 'workdir' }>;

/** Build arguments that steer the builder and never reach a RUN's environment (row A10). */
const hiddenArgs = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

/** The state after an instruction that only changes the config or the variables. */
export function applyMetadata(
  state: StageState,
  instruction: MetadataInstruction,
  scope: InstructionScope,
): StageState {
  const expand = (word: Word) => expandIn(state, word, scope);
  const note = (next: StageState, text: string) => withHistory(next, text, { epoch: scope.epoch });
  switch (instruction.kind) {
    case 'env': {
      const pairs = instruction.pairs.map((pair) => [expand(pair.key), expand(pair.value)] as const);
      for (const [i, [name]] of pairs.entries())
        if (name === '') throw emptyName('ENV', instruction.pairs[i]?.key as Word);
      const next = pairs.reduce((current, [name, value]) => withEnv(current, name, value), state);
      return note(next, `ENV ${pairs.map(([name, value]) => `${name}=${value}`).join(' ')}`);
    }
    case 'label': {
      const pairs = instruction.pairs.map((pair) => [expand(pair.key), expand(pair.value)] as const);
      const Labels = { ...state.config.Labels, ...Object.fromEntries(pairs) };
      return note(
        withConfig(state, { Labels }),
        `LABEL ${pairs.map(([key, value]) => `${key}=${value}`).join(' ')}`,
      );
    }
    case 'arg':
      return applyArg(state, instruction, scope);
    case 'cmd': {
      const Cmd = argvOf(state, instruction.command);
      const next = { ...withConfig(state, { Cmd, ArgsEscaped: true }), hasCmd: true };
      return note(next, `CMD ${quoteGoList(Cmd)}`);
    }
    case 'entrypoint': {
      const Entrypoint = argvOf(state, instruction.command);
      const { Cmd, ...rest } = state.config;
      const kept = state.hasCmd && Cmd !== undefined ? { Cmd } : {};
      return note(
        { ...state, config: { ...rest, ...kept, Entrypoint } },
        `ENTRYPOINT ${quoteGoList(Entrypoint)}`,
      );
    }
    case 'shell':
      return note(withConfig(state, { Shell: instruction.argv }), `SHELL [${instruction.argv.join(' ')}]`);
    case 'expose': {
      const ports = instruction.ports.flatMap((word) =>
        expandWords(word, lookup(state), { escape: scope.escape }).words.flatMap(
          (text) => parsePorts(text, word).ports,
        ),
      );
      const ExposedPorts = {
        ...state.config.ExposedPorts,
        ...Object.fromEntries(ports.map((port) => [port, {}])),
      };
      return note(withConfig(state, { ExposedPorts }), `EXPOSE [${ports.join(' ')}]`);
    }
    case 'volume': {
      const paths = instruction.paths.map(expand);
      const empty = paths.indexOf('');
      if (empty >= 0)
        throw new CairnError('VOLUME_EMPTY', {
          message: 'VOLUME names an empty path',
          at: (instruction.paths[empty] as Word).span,
          help: 'write the path of a directory; a variable in it may be unset',
        });
      const Volumes = { ...state.config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) };
      return note(withConfig(state, { Volumes }), `VOLUME [${paths.join(' ')}]`);
    }
    case 'user': {
      const User = expand(instruction.user);
      return note(withConfig(state, { User }), `USER ${User}`);
    }
    case 'stopsignal': {
      const StopSignal = expand(instruction.signal);
      checkSignal(StopSignal, instruction.signal);
      return note(withConfig(state, { StopSignal }), `STOPSIGNAL ${StopSignal}`);
    }
    case 'healthcheck':
      return applyHealthcheck(state, instruction, scope);
    case 'onbuild':
      return withConfig(state, { OnBuild: [...(state.config.OnBuild ?? []), instruction.trigger] });
    case 'maintainer':
      return note({ ...state, author: instruction.author.text }, `MAINTAINER ${instruction.author.text}`);
  }
}

/** The text of a word in the state's environment. */
export function expandIn(state: StageState, word: Word, scope: Pick<InstructionScope, 'escape'>): string {
  return expandWord(word, lookup(state), { escape: scope.escape }).text;
}

export function lookup(state: StageState): (name: string) => string | undefined {
  return (name) => state.env.get(name);
}

/** The argv of a command: shell form goes behind the stage's SHELL as one argument. */
export function argvOf(state: StageState, command: Command): readonly string[] {
  return command.form === 'exec' ? command.argv : [...shellOf(state), command.text];
}

function applyArg(state: StageState, instruction: ArgInstruction, scope: InstructionScope): StageState {
  let next = state;
  const texts: string[] = [];
  for (const { name, value } of instruction.args) {
    const given = Object.hasOwn(scope.buildArgs, name.text) ? scope.buildArgs[name.text] : undefined;
    const inForce = given ?? (value ? expandIn(next, value, scope) : scope.globalArgs.get(name.text));
    if (inForce !== undefined && !hiddenArgs.has(name.text)) next = withVariable(next, name.text, inForce);
    next = { ...next, args: [...next.args, { name: name.text, value: inForce ?? '' }] };
    texts.push(inForce === undefined ? name.text : `${name.text}=${inForce}`);
  }
  return withHistory(next, `ARG ${texts.join(' ')}`, { epoch: scope.epoch });
}

function applyHealthcheck(
  state: StageState,
  check: HealthcheckInstruction,
  scope: InstructionScope,
): StageState {
  const Test = healthTest(check);
  const Healthcheck = {
    Test,
    Interval: check.intervalNs,
    Timeout: check.timeoutNs,
    StartPeriod: check.startPeriodNs,
    StartInterval: check.startIntervalNs,
    Retries: check.retries,
  };
  const durations = [check.intervalNs, check.timeoutNs, check.startPeriodNs, check.startIntervalNs];
  const shown = durations.map((ns) => `"${formatGoDuration(ns)}"`).join(' ');
  const text = `HEALTHCHECK &{${quoteGoList(Test)} ${shown} ${quoteGoRune(check.retries)}}`;
  return withHistory(withConfig(state, { Healthcheck }), text, { epoch: scope.epoch });
}

function healthTest({ test }: HealthcheckInstruction): readonly string[] {
  if (test === 'none') return ['NONE'];
  return test.form === 'exec' ? ['CMD', ...test.argv] : ['CMD-SHELL', test.text];
}

function emptyName(keyword: string, word: Word): CairnError {
  return new CairnError('NAME_EMPTY', {
    message: `${keyword} sets a variable whose name is empty after expansion`,
    at: word.span,
    help: `write ${keyword} NAME=value; a variable in the name may be unset`,
  });
}
