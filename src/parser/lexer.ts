import moo, { type Lexer as MooLexer, type Token as MooToken, type Rules } from 'moo';
import { findHeredocWords, type HeredocWord } from './heredoc-word.ts';
import type { EscapeCharacter } from './instruction.ts';
import { blankClass, lastNonSpace, skipSpace, spaceClass } from './space.ts';

/** A token of the grammar. `offset` counts in the logical line, `value` is its slice from there. */
export interface Token {
  readonly type: string;
  readonly value: string;
  readonly offset: number;
  /** What a token of type `heredoc` says. */
  readonly heredoc?: HeredocWord;
}

/** The argument syntax of each keyword; the grammar has one rule for each. */
const shapes: ReadonlyMap<string, Shape> = new Map([
  ['from', 'words'],
  ['expose', 'words'],
  ['add', 'list'],
  ['copy', 'list'],
  ['volume', 'list'],
  ['run', 'command'],
  ['cmd', 'command'],
  ['entrypoint', 'command'],
  ['shell', 'command'],
  ['env', 'pairs'],
  ['label', 'pairs'],
  ['arg', 'names'],
  ['maintainer', 'text'],
  ['stopsignal', 'text'],
  ['user', 'text'],
  ['workdir', 'text'],
  ['healthcheck', 'health'],
  ['onbuild', 'trigger'],
]);
export type Shape =
  | 'words'
  | 'list'
  | 'command'
  | 'pairs'
  | 'names'
  | 'text'
  | 'health'
  | 'trigger'
  | 'unknown';

/** All instruction keywords, lower case. */
export const keywords: readonly string[] = [...shapes.keys()];

const takesHeredocs: ReadonlySet<string> = new Set(['add', 'copy', 'run']);

interface MooLexers {
  /** Keyword, flags, and the rest of the line as one token. */
  readonly head: MooLexer;
  /** Words in which quotes and escapes protect blanks; `bare` ones have no `=`. */
  readonly quotedWords: MooLexer;
}

const lexersByEscape = new Map<EscapeCharacter, MooLexers>();

function lexersFor(character: EscapeCharacter): MooLexers {
  const known = lexersByEscape.get(character);
  if (known !== undefined) return known;
  const made = {
    head: moo.states(headRules(character), 'keyword'),
    quotedWords: moo.compile(quotedWordRules(character)),
  };
  lexersByEscape.set(character, made);
  return made;
}

function headRules(character: EscapeCharacter): Record<string, Rules> {
  const e = character === '\\' ? '\\\\' : '`';
  const quoted = (quote: string): string => `${quote}(?:[^${quote}${e}]|${e}[^])*(?:${quote}|${e}?$)`;
  const flag = `--(?:[^${spaceClass}'"${e}]|${e}(?:[^]|$)|${quoted("'")}|${quoted('"')})+`;
  const space = new RegExp(`[${spaceClass}]+`, 'u');
  const rest = { match: /[^\n]+/u };
  return {
    keyword: { keyword: { match: new RegExp(`[^\\n${blankClass}]+`, 'u'), next: 'flags' } },
    flags: {
      space: { match: space, lineBreaks: true },
      endOfFlags: { match: new RegExp(`--(?:''|"")*(?=[${spaceClass}]|$)`, 'u'), next: 'rest' },
      flag: { match: new RegExp(flag, 'u') },
      rest,
    },
    rest: { space: { match: space, lineBreaks: true }, rest },
  };
}

function quotedWordRules(character: EscapeCharacter): Rules {
  const e = character === '\\' ? '\\\\' : '`';
  // An escape character means nothing between single quotes, and protects any character elsewhere.
  const units = (not: string): string => {
    const single = `'[^'${not}]*(?:'|$)`;
    const double = `"(?:[^"${e}${not}]|${e}[^${not}])*(?:"|${e}?$)`;
    const any = not === '' ? '[^]' : `[^${not}]`;
    return `(?:[^${spaceClass}'"${e}${not}]|${e}(?:${any}|$)|${single}|${double})+`;
  };
  return {
    space: { match: new RegExp(`[${spaceClass}]+`, 'u'), lineBreaks: true },
    bare: { match: new RegExp(`${units('=')}(?=[${spaceClass}]|$)`, 'u') },
    assignment: { match: new RegExp(units(''), 'u') },
  };
}

const plainWords = moo.compile({
  blank: new RegExp(`[${blankClass}]+`, 'u'),
  word: new RegExp(`[^\\n${blankClass}]+`, 'u'),
});

const jsonTokens = moo.compile({
  space: { match: new RegExp(`[${spaceClass}]+`, 'u'), lineBreaks: true },
  string: /"(?:[^"\\]|\\.)*"/u,
  open: '[',
  close: ']',
  comma: ',',
  nonString: new RegExp(`[^${spaceClass}"\\[\\],]+`, 'u'),
});

/**
 * The tokens of one instruction, closed by `end`. The keyword decides how its arguments are read, and of the
 * arguments that may be JSON only those are that parse as an array; the grammar then sees plain tokens.
 */
export function* tokenize(line: string, escapeCharacter: EscapeCharacter): Generator<Token, void> {
  const start = skipSpace(line);
  const end = lastNonSpace(line, start);
  yield* headTokens({ start, end, escape: escapeCharacter, line });
  yield { type: 'end', value: '', offset: end };
}

interface Context {
  readonly start: number;
  /** End of the line without outer spaces. */
  readonly end: number;
  readonly escape: EscapeCharacter;
  readonly line: string;
  /** Inside ONBUILD, where a further ONBUILD is refused later and so need not be looked into. */
  readonly isTrigger?: boolean;
}

function* headTokens(context: Context): Generator<Token, void> {
  let keyword = '';
  for (const token of mooTokens(lexersFor(context.escape).head, rest(context))) {
    const offset = context.start + token.offset;
    if (token.type === 'keyword') {
      keyword = token.text.toLowerCase();
      yield { type: `${shapes.get(keyword) ?? 'unknown'}Keyword`, value: token.text, offset };
    } else if (token.type === 'flag') {
      yield { type: 'flag', value: token.text, offset };
    } else if (token.type === 'rest') {
      yield* argumentTokens(keyword, { ...context, start: offset });
    }
  }
}

function argumentTokens(keyword: string, context: Context): Iterable<Token> {
  switch (shapes.get(keyword) ?? 'unknown') {
    case 'words':
      return from(mooTokens(plainWords, rest(context)), context);
    case 'list':
      return listTokens(keyword, context);
    case 'command':
      return commandTokens(keyword, context);
    case 'pairs':
      return pairTokens(context);
    case 'names':
      return from(mooTokens(lexersFor(context.escape).quotedWords, rest(context)), context);
    case 'text':
      return [{ type: 'text', value: rest(context), offset: context.start }];
    case 'health':
      return healthTokens(context);
    case 'trigger':
      return context.isTrigger ? [] : headTokens({ ...context, isTrigger: true });
    case 'unknown':
      return [{ type: 'text', value: rest(context), offset: context.start }];
  }
}

function listTokens(keyword: string, context: Context): Iterable<Token> {
  if (isJsonArray(rest(context))) return from(mooTokens(jsonTokens, rest(context)), context);
  if (!takesHeredocs.has(keyword)) return from(mooTokens(plainWords, rest(context)), context);
  return split(context, (text, offset) => from(mooTokens(plainWords, text), { ...context, start: offset }));
}

function commandTokens(keyword: string, context: Context): Iterable<Token> {
  if (isJsonArray(rest(context))) return from(mooTokens(jsonTokens, rest(context)), context);
  const asText = (text: string, offset: number): Token[] => [{ type: 'text', value: text, offset }];
  return takesHeredocs.has(keyword) ? split(context, asText) : asText(rest(context), context.start);
}

/** Heredoc words as tokens of their own, what lies between them as `lexBetween` says. */
function* split(
  context: Context,
  lexBetween: (text: string, offset: number) => Iterable<Token>,
): Generator<Token, void> {
  let at = context.start;
  for (const word of findHeredocWords(context.line)) {
    if (word.start < at || word.end > context.end) continue;
    if (word.start > at) yield* lexBetween(context.line.slice(at, word.start), at);
    const value = context.line.slice(word.start, word.end);
    yield { type: 'heredoc', value, offset: word.start, heredoc: word.heredoc };
    at = word.end;
  }
  if (at < context.end) yield* lexBetween(context.line.slice(at, context.end), at);
}

const leadingKey = new RegExp(`^[^${blankClass}]+`, 'u');
const leadingBlanks = new RegExp(`^[${blankClass}]*`, 'u');

/** `key=value …`, or the legacy form when the first word has no `=`: a key, and the rest of the line as its value. */
function* pairTokens(context: Context): Generator<Token, void> {
  const text = rest(context);
  const tokens = mooTokens(lexersFor(context.escape).quotedWords, text);
  if (tokens[0]?.type !== 'bare') {
    yield* from(tokens, context);
    return;
  }
  const key = leadingKey.exec(text)![0];
  yield { type: 'legacyKey', value: key, offset: context.start };
  const valueAt = context.start + key.length + leadingBlanks.exec(text.slice(key.length))![0].length;
  if (valueAt < context.end) {
    yield { type: 'legacyValue', value: context.line.slice(valueAt, context.end), offset: valueAt };
  }
}

function* healthTokens(context: Context): Generator<Token, void> {
  const text = rest(context);
  let length = 0;
  while (length < text.length && skipSpace(text, length) === length) length += 1;
  yield { type: 'healthType', value: text.slice(0, length), offset: context.start };
  const command = context.start + skipSpace(text, length);
  if (command < context.end) yield* commandTokens('healthcheck', { ...context, start: command });
}

function rest(context: Context): string {
  return context.line.slice(context.start, context.end);
}

/** Spaces are dropped; offsets become those of the logical line. */
function* from(tokens: Iterable<MooToken>, context: Context): Generator<Token, void> {
  for (const token of tokens) {
    if (token.type === 'space' || token.type === 'blank') continue;
    yield { type: token.type ?? '', value: token.text, offset: context.start + token.offset };
  }
}

/** All tokens of a text, at once: the lexers are shared, and ONBUILD nests their use. */
function mooTokens(lexer: MooLexer, text: string): MooToken[] {
  lexer.reset(text);
  return [...lexer];
}

function isJsonArray(text: string): boolean {
  if (!text.startsWith('[')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
