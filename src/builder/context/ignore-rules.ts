import { readFileSync } from 'node:fs';
import { CairnError, type Span } from '../../errors/index.ts';
import { parseIgnoreFile } from './ignore-file.ts';
import { type Pattern, PatternMatcher, PatternSyntaxError } from './pattern-matcher.ts';

/** A context's ignore file: its matcher, and where each pattern stands. */
export interface IgnoreRules {
  readonly matcher: PatternMatcher;
  lineOf(pattern: Pattern): Span | undefined;
}

/**
 * Reads `<Dockerfile>.dockerignore` if it exists, else `<context>/.dockerignore` (row D01: never both).
 * @param candidates - paths in order of preference.
 * @returns null when none exists
 * @throws {CairnError} IGNORE_PATTERN_INVALID
 */
export function readIgnoreRules(candidates: readonly string[]): IgnoreRules | null {
  for (const file of candidates) {
    const text = readIfExists(file);
    if (text !== null) return parseRules(text, file);
  }
  return null;
}

function parseRules(text: string, file: string): IgnoreRules {
  const lines = parseIgnoreFile(text);
  const source = text.split('\n');
  const spanOf = (index: number): Span | undefined => {
    const line = lines[index]?.line;
    if (line === undefined) return undefined;
    const shown = (source[line - 1] ?? '').replace(/\r$/, '');
    return { file, line, column: 1, length: Math.max(shown.length, 1), endLine: line, source: shown };
  };
  try {
    const matcher = PatternMatcher.of(lines.map((line) => line.pattern));
    return { matcher, lineOf: (pattern) => spanOf(pattern.index) };
  } catch (error) {
    if (!(error instanceof PatternSyntaxError)) throw error;
    const at = spanOf(error.index);
    throw new CairnError('IGNORE_PATTERN_INVALID', {
      message: error.message,
      ...(at ? { at } : {}),
      help: 'write a path or a glob (*, ?, [a-z], **); "!" needs a pattern after it',
      cause: error,
    });
  }
}

function readIfExists(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}
