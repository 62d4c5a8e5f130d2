import { CairnError, type Span } from '../errors/index.ts';
import type { EscapeCharacter, Word } from './instruction.ts';
import { type Lookup, processShellWord, ShellWordError, type ShellWordResult } from './shell-word.ts';

export interface ExpandOptions {
  /** The Dockerfile's escape character. Default: backslash. */
  readonly escape?: EscapeCharacter;
  /** `process` removes quotes (words of instructions), `keep` takes them as plain text. Default: `process`. */
  readonly quotes?: 'process' | 'keep';
  /** Where the word stands, when it is given as a plain string. */
  readonly at?: Span;
}

export interface Expansion {
  readonly text: string;
  /** Variables that were used and set, in the order of their first use. */
  readonly used: readonly string[];
  /** Variables that were used while unset (the check UndefinedVar). */
  readonly unset: readonly string[];
}

/**
 * Expands variables and removes quotes and escapes: one word in, one word out.
 * @param lookup - the value of a variable, undefined when it is unset.
 * @throws {CairnError} EXPANSION_INVALID for syntax, VARIABLE_REQUIRED when `${name:?message}` fires
 */
export function expandWord(word: Word | string, lookup: Lookup, options: ExpandOptions = {}): Expansion {
  const { text, used, unset } = process(word, lookup, options);
  return { text, used, unset };
}

export interface WordsExpansion extends Omit<Expansion, 'text'> {
  readonly words: readonly string[];
}

/**
 * As `expandWord`, then splits at blanks outside quotes, those that came out of variables included (EXPOSE).
 * @throws {CairnError} as `expandWord`
 */
export function expandWords(
  word: Word | string,
  lookup: Lookup,
  options: ExpandOptions = {},
): WordsExpansion {
  const { words, used, unset } = process(word, lookup, options);
  return { words: words.map((one) => one.text), used, unset };
}

/**
 * Expands the body of an unquoted COPY or ADD heredoc: quotes are plain text, and the escape character is the
 * backslash whatever the directive says.
 * @throws {CairnError} as `expandWord`
 */
export function expandHeredoc(body: string, lookup: Lookup, at?: Span): Expansion {
  return expandWord(body, lookup, { escape: '\\', quotes: 'keep', ...(at && { at }) });
}

function process(word: Word | string, lookup: Lookup, options: ExpandOptions): ShellWordResult {
  const text = typeof word === 'string' ? word : word.text;
  const span = typeof word === 'string' ? options.at : word.span;
  try {
    return processShellWord(text, {
      escape: options.escape ?? '\\',
      lookup,
      ignoreQuotes: options.quotes === 'keep',
    });
  } catch (error) {
    if (!(error instanceof ShellWordError)) throw error;
    throw expansionError(error, text, span);
  }
}

function expansionError(error: ShellWordError, text: string, span: Span | undefined): CairnError {
  const at = span && narrow(span, text, error);
  if (error.required !== undefined) {
    return new CairnError('VARIABLE_REQUIRED', {
      message: error.message,
      ...(at && { at }),
      help: `give it a value with ARG or ENV above this line, or with --build-arg ${error.required}=…`,
    });
  }
  return new CairnError('EXPANSION_INVALID', {
    message: `${error.message} in ${abbreviate(text)}`,
    ...(at && { at }),
    help: helpFor(error.message),
  });
}

/** The faulty part of a word, when its text stands in the source as it is. */
function narrow(span: Span, text: string, { offset, length }: ShellWordError): Span {
  const isVerbatim = span.endLine === span.line && span.source.startsWith(text, span.column - 1);
  return isVerbatim ? { ...span, column: span.column + offset, length } : span;
}

function helpFor(message: string): string {
  if (message.includes('quote is not closed'))
    return 'close the quote, or escape it to mean the character itself';
  if (message.includes('modifier')) {
    return 'use one of ${v:-word} ${v-word} ${v:+word} ${v+word} ${v:?text} ${v?text} ${v#p} ${v##p} ${v%p} ${v%%p} ${v/p/r} ${v//p/r}';
  }
  if (message.includes('pattern'))
    return 'in a pattern, * and ? are wildcards and \\*, \\? and \\\\ the characters';
  return 'write ${name}, or escape the dollar sign to mean the character itself';
}

function abbreviate(text: string): string {
  const line = text.split('\n', 1)[0]!;
  return line.length < text.length || line.length > 60 ? `${line.slice(0, 57)}...` : line;
}
