import {
  type EscapeCharacter,
  expandHeredoc,
  expandWord,
  type Heredoc,
  type Word,
} from '../../parser/index.ts';
import type { BuildSession } from '../session.ts';
import type { StageState } from '../stage-state.ts';
import { type AccountLayer, type AccountVariable, accountVariable } from './account.ts';

/** Digits of a diffID that tell layers apart for people. */
const layerDigits = 32;

/** The layers that a step builds on, with what made them. */
export function accountLayers({ layers, origins = [] }: StageState): readonly AccountLayer[] {
  return layers.map((diffId, i) => [diffId.slice('sha256:'.length).slice(0, layerDigits), origins[i] ?? '']);
}

/** Variables that words use, set or not, each once. */
export function usedVariables(
  state: StageState,
  words: readonly Word[],
  escapeCharacter: EscapeCharacter,
): readonly AccountVariable[] {
  return recorded(state, (lookup) => {
    for (const word of words) expandWord(word, lookup, { escape: escapeCharacter });
  });
}

/** The same for the bodies of heredocs that are expanded. */
export function usedInHeredocs(state: StageState, heredocs: readonly Heredoc[]): readonly AccountVariable[] {
  return recorded(state, (lookup) => {
    for (const { expand, body, word } of heredocs) if (expand) expandHeredoc(body, lookup, word.span);
  });
}

function recorded(
  state: StageState,
  work: (lookup: (name: string) => string | undefined) => void,
): readonly AccountVariable[] {
  const names = new Set<string>();
  work((name) => {
    names.add(name);
    return state.env.get(name);
  });
  return [...names].flatMap((name) => {
    const value = state.env.get(name);
    return value === undefined ? [] : [stageVariable(state, name, value)];
  });
}

/** All variables that a command sees. */
export function stageVariables(state: StageState): readonly AccountVariable[] {
  return [...state.env].map(([name, value]) => stageVariable(state, name, value));
}

function stageVariable(state: StageState, name: string, value: string): AccountVariable {
  // ENV wins over an ARG of its name, also in the config.
  const isEnv = state.config.Env?.some((entry) => entry.startsWith(`${name}=`)) ?? false;
  return accountVariable(name, value, !isEnv);
}

/** Lines of the ignore file, for a step that reads the context. */
export function ignoredLines({ ignore }: BuildSession): { readonly ignored?: readonly string[] } {
  if (ignore === null) return {};
  const { patterns } = ignore.matcher;
  return { ignored: patterns.map(({ text, negated }) => `${negated ? '!' : ''}${text}`) };
}

/** Options of the builder that count for files. */
export function optionSettings(session: BuildSession): {
  readonly timestamp: string;
  readonly 'context modes': string;
} {
  return {
    timestamp: session.preserveTimes ? 'preserve' : String(session.epoch),
    'context modes': session.options.contextModes ?? 'normal',
  };
}
