import { processShellWord, ShellWordError, type SplitWord } from './shell-word.ts';

/** What a heredoc word says. */
export interface HeredocWord {
  /** The delimiter without quotes. */
  readonly name: string;
  readonly fd: number;
  readonly chomp: boolean;
  /** No part of the delimiter is quoted. */
  readonly expand: boolean;
}

const pattern = /^(\d*)<<(-?)[\t\n\f\r ]*([^<]*)$/;

// In heredoc words the escape character is always the backslash, whatever the directive says.
const options = { escape: '\\', lookup: () => undefined, keepUnset: true } as const;

/** Reads one word such as `<<EOF`, `3<<-"END"`; undefined when it is no heredoc word. */
export function parseHeredocWord(word: string): HeredocWord | undefined {
  const found = pattern.exec(word);
  const [, fd = '', dash, delimiter = ''] = found ?? [];
  if (found === null || delimiter === '') return undefined;
  const plain = wordsOf(delimiter, {});
  const quoted = wordsOf(delimiter, { rawQuotes: true });
  const name = plain[0]?.text;
  if (name === undefined || plain.length !== 1 || quoted.length !== 1) return undefined;
  return {
    name,
    fd: fd === '' ? 0 : Number(fd),
    chomp: dash === '-',
    expand: quotesIn(name) === quotesIn(quoted[0]!.text),
  };
}

/**
 * The heredoc words of an instruction's line, found as a shell would find its words. A line on which a quote or a
 * substitution is not closed has none (BuildKit).
 */
export function findHeredocWords(line: string): (SplitWord & { readonly heredoc: HeredocWord })[] {
  if (!line.includes('<<')) return [];
  return wordsOf(line, { rawQuotes: true, rawEscapes: true }).flatMap((word) => {
    const heredoc = parseHeredocWord(word.text);
    return heredoc === undefined ? [] : [{ ...word, heredoc }];
  });
}

function wordsOf(text: string, raw: { rawQuotes?: true; rawEscapes?: true }): readonly SplitWord[] {
  try {
    return processShellWord(text, { ...options, ...raw }).words;
  } catch (error) {
    if (error instanceof ShellWordError) return [];
    throw error;
  }
}

function quotesIn(text: string): number {
  return text.replace(/[^'"]/g, '').length;
}
