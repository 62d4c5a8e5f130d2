import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseIgnoreFile } from '../../src/builder/context/ignore-file.ts';
import { matchPath } from '../../src/builder/context/path-match.ts';
import { PatternMatcher } from '../../src/builder/context/pattern-matcher.ts';

const table = JSON.parse(readFileSync('fixtures/ignore/pattern-matcher.json', 'utf8'));

describe('a single pattern', () => {
  test.each(table.matches as { pattern: string; text: string; match: boolean }[])(
    '"$pattern" against "$text" is $match',
    ({ pattern, text, match }) => {
      expect(PatternMatcher.of([pattern]).excludes(text)).toBe(match);
    },
  );
});

describe('a list of patterns', () => {
  test.each(table.multi as { patterns: string[]; text: string; match: boolean }[])(
    '$patterns against "$text" is $match',
    ({ patterns, text, match }) => {
      expect(PatternMatcher.of(patterns).excludes(text)).toBe(match);
    },
  );
});

const globs = table.filepathMatch as { pattern: string; text: string; match: boolean; err: boolean }[];

describe('a glob of an ignore file', () => {
  test.each(globs)(
    '"$pattern" against "$text" is $match, malformed $err',
    ({ pattern, text, match, err }) => {
      const decide = () => PatternMatcher.of([pattern]).excludes(text);
      if (err) expect(decide).toThrow('syntax error in pattern');
      else expect(decide()).toBe(match);
    },
  );
});

describe('a glob of COPY', () => {
  // In an ignore file `a*` covers what lies below `ab`; COPY matches whole paths only.
  const whole = globs.filter(({ text }) => text !== 'ab/c');
  test.each(whole)(
    '"$pattern" against "$text" is $match, malformed $err',
    ({ pattern, text, match, err }) => {
      expect(matchPath(pattern, text)).toBe(err ? null : match);
    },
  );
  test('"a*" does not match "ab/c"', () => expect(matchPath('a*', 'ab/c')).toBe(false));
});

test('an ignore file is cleaned line by line', () => {
  const { input, expected } = JSON.parse(readFileSync('fixtures/ignore/ignore-file.json', 'utf8'));
  expect(parseIgnoreFile(input).map((line) => line.pattern)).toEqual(expected);
});
