import oracle from '@balena/dockerignore';
import ignore from 'ignore';
import { expect, test } from 'vitest';
import { PatternMatcher } from '../../src/builder/context/pattern-matcher.ts';

// Two other matchers on generated patterns and paths, in the part of the language on which all agree: whole names, `*`,
// `?` and `**/`. Where they part, Docker's own table (fixtures/ignore) is the judge.

const names = ['a', 'ab', 'b', 'c.md', 'd.txt'];
const parts = [...names, '*', '*.md', '?', 'a*'];

function randomizer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const random = randomizer(7);
const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
const some = (most: number, from: readonly string[]) =>
  Array.from({ length: 1 + random(most) }, () => pick(from)).join('/');

/** Excluding patterns only: gitignore cannot re-include below an excluded folder. */
function randomPatterns(): string[] {
  return Array.from({ length: 1 + random(3) }, () => `${random(3) === 0 ? '**/' : ''}${some(2, parts)}`);
}

test('agrees with the package ignore, whose patterns are anchored for it', () => {
  for (let round = 0; round < 3000; round++) {
    const patterns = randomPatterns();
    const path = some(3, names);
    const anchored = patterns.map((pattern) => (pattern.startsWith('**/') ? pattern : `/${pattern}`));
    const expected = ignore({ ignorecase: false }).add(anchored).ignores(path);
    expect([patterns, path, PatternMatcher.of(patterns).excludes(path)]).toEqual([patterns, path, expected]);
  }
});

test('agrees with @balena/dockerignore', () => {
  // Its types know it as an ES module, which it is not.
  const dockerignore = oracle as unknown as typeof oracle.default;
  for (let round = 0; round < 3000; round++) {
    const patterns = randomPatterns();
    const path = some(3, names);
    const expected = dockerignore({ ignorecase: false }).add(patterns).ignores(path);
    expect([patterns, path, PatternMatcher.of(patterns).excludes(path)]).toEqual([patterns, path, expected]);
  }
});

test('a pattern of one character is a pattern like others', () => {
  expect(['?', '*', 'x'].map((pattern) => PatternMatcher.of([pattern]).excludes('ab'))).toEqual([
    false,
    true,
    false,
  ]);
});
