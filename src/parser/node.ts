import type { Token } from './lexer.ts';

/**
 * The tree that the grammar builds for one instruction: structure only. Tokens are slices of the logical line; what
 * the words mean, and whether the instruction may have them, is decided when the node becomes an instruction.
 */
export interface SyntaxNode {
  readonly keyword: Token;
  readonly flags: readonly Token[];
  readonly args: NodeArguments;
}

export type NodeArguments =
  | WordList
  | JsonArray
  | CommandText
  | Pairs
  | HealthTest
  | Trigger
  | UnknownArguments;

/** Words, of which COPY and ADD may have heredocs among them. */
export interface WordList {
  readonly form: 'words';
  readonly words: readonly Token[];
}

export interface JsonArray {
  readonly form: 'json';
  /** String tokens with their quotes. */
  readonly elements: readonly Token[];
  readonly open: Token;
  readonly close: Token;
}

/** The rest of the line, heredoc words as pieces of their own; the pieces lie without gaps. */
export interface CommandText {
  readonly form: 'text';
  readonly pieces: readonly Token[];
}

export interface Pairs {
  readonly form: 'pairs';
  /** One token `key=value`, or the two tokens of the legacy form. */
  readonly assignments: readonly Token[];
  readonly legacy?: { readonly key: Token; readonly value: Token };
}

export interface HealthTest {
  readonly form: 'health';
  readonly type?: Token;
  readonly command?: JsonArray | CommandText;
}

export interface Trigger {
  readonly form: 'trigger';
  readonly node?: SyntaxNode;
}

export interface UnknownArguments {
  readonly form: 'unknown';
}

/** A list under construction. Appending is constant in time and leaves shorter lists intact, as Earley parsing needs. */
interface List {
  readonly before: List | null;
  readonly last: Token;
}

type MaybeList = List | null;

function toArray(list: MaybeList): Token[] {
  const items: Token[] = [];
  for (let at = list; at !== null; at = at.before) items.push(at.last);
  return items.reverse();
}

// What follows is called by grammar.generated.ts, with the values of a rule's symbols in order.

/** The value of a rule's first symbol. */
export const unwrap = <T>([first]: [T]): T => first;
export const none = (): null => null;
export const nothing = (): undefined => undefined;
export const one = ([last]: [Token]): List => ({ before: null, last });
export const append = ([before, last]: [MaybeList, Token]): List => ({ before, last });
export const appendLast = ([before, , last]: [List, Token, Token]): List => ({ before, last });

export const emptyArray = ([open, close]: [Token, Token]): JsonArray => ({
  form: 'json',
  elements: [],
  open,
  close,
});
export const array = ([open, elements, close]: [Token, List, Token]): JsonArray => ({
  form: 'json',
  elements: toArray(elements),
  open,
  close,
});

export const wordsNode = ([keyword, flags, words]: [Token, MaybeList, MaybeList]): SyntaxNode =>
  node(keyword, flags, { form: 'words', words: toArray(words) });

export const listNode = ([keyword, flags, list]: [Token, MaybeList, JsonArray | MaybeList]): SyntaxNode =>
  node(keyword, flags, isArray(list) ? list : { form: 'words', words: toArray(list) });

export const commandNode = ([keyword, flags, command]: [
  Token,
  MaybeList,
  JsonArray | MaybeList,
]): SyntaxNode => node(keyword, flags, commandOf(command));

export const pairsNode = ([keyword, flags, pairs]: [
  Token,
  MaybeList,
  LegacyPair | MaybeList,
]): SyntaxNode => {
  const isLegacy = pairs !== null && 'key' in pairs;
  return node(
    keyword,
    flags,
    isLegacy
      ? { form: 'pairs', assignments: [], legacy: pairs }
      : { form: 'pairs', assignments: toArray(pairs) },
  );
};

interface LegacyPair {
  readonly key: Token;
  readonly value: Token;
}
export const legacyPair = ([key, value]: [Token, Token]): LegacyPair => ({ key, value });

export const textNode = ([keyword, flags, text]: [Token, MaybeList, Token | undefined]): SyntaxNode =>
  node(keyword, flags, { form: 'text', pieces: text === undefined ? [] : [text] });

export const healthTest = ([type, command]: [Token, JsonArray | MaybeList]): HealthTest => ({
  form: 'health',
  type,
  command: commandOf(command),
});

export const healthNode = ([keyword, flags, test]: [Token, MaybeList, HealthTest | undefined]): SyntaxNode =>
  node(keyword, flags, test ?? { form: 'health' });

export const triggerNode = ([keyword, flags, inner]: [
  Token,
  MaybeList,
  SyntaxNode | undefined,
]): SyntaxNode =>
  node(keyword, flags, inner === undefined ? { form: 'trigger' } : { form: 'trigger', node: inner });

export const unknownNode = ([keyword, flags]: [Token, MaybeList, unknown]): SyntaxNode =>
  node(keyword, flags, { form: 'unknown' });

function node(keyword: Token, flags: MaybeList, args: NodeArguments): SyntaxNode {
  return { keyword, flags: toArray(flags), args };
}

function commandOf(command: JsonArray | MaybeList): JsonArray | CommandText {
  return isArray(command) ? command : { form: 'text', pieces: toArray(command) };
}

function isArray(value: JsonArray | MaybeList): value is JsonArray {
  return value !== null && 'form' in value;
}
