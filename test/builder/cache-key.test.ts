import { expect, test } from 'vitest';
import { type KeyValue, keyOf } from '../../src/builder/cache-key.ts';

/** A small generator with a fixed seed, so that a failure can be repeated. */
function randomizer(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const texts = ['', 'a', 'b', 'ab', '1', '1:', 's1:a', 'é', '\0', 'true', 'null', 'l0:', 'o0:'];

function randomValue(random: (below: number) => number, depth: number): KeyValue {
  const kind = random(depth > 0 ? 6 : 4);
  if (kind === 0) return texts[random(texts.length)] as string;
  if (kind === 1) return random(3) - 1;
  if (kind === 2) return random(2) === 0;
  if (kind === 3) return null;
  if (kind === 4) return Array.from({ length: random(4) }, () => randomValue(random, depth - 1));
  const names = texts.slice(0, 4).filter(() => random(2) === 0);
  return Object.fromEntries(names.map((name) => [name, randomValue(random, depth - 1)]));
}

test('unequal inputs have unequal keys, over 120,000 generated values', () => {
  const random = randomizer(42);
  const values = new Map<string, string>();
  for (let i = 0; i < 120_000; i++) {
    const value = randomValue(random, 3);
    // JSON of these values is exact and, names being in one order, the same for equal values.
    const text = JSON.stringify(value);
    const key = keyOf(value);
    expect(values.get(key) ?? text).toBe(text);
    values.set(key, text);
  }
  expect(new Set(values.values()).size).toBe(values.size);
});

test.each<[string, KeyValue, KeyValue]>([
  ['a list and its only element', ['a'], 'a'],
  ['where one string ends and the next begins', ['ab', 'c'], ['a', 'bc']],
  ['a number and its digits', 1, '1'],
  ['nothing and the empty string', null, ''],
  ['nesting', [['a'], 'b'], [['a', 'b']]],
  ['an empty list and an empty object', [], {}],
  ['a name and its value', { a: 'b' }, { b: 'a' }],
])('keys tell apart %s', (_, a, b) => {
  expect(keyOf(a)).not.toBe(keyOf(b));
});

test('the order in which fields are written does not matter, and an undefined field is an absent one', () => {
  expect(keyOf({ a: 1, b: 2 })).toBe(keyOf({ b: 2, c: undefined, a: 1 }));
});
