import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CairnError } from '../../src/errors/index.ts';
import { expandHeredoc, expandWord, expandWords } from '../../src/parser/index.ts';

const environment: Readonly<Record<string, string>> = {
  PWD: '/home',
  SHELL: 'bash',
  NULL: '',
  KOREAN: '한국어',
};
const lookup = (name: string): string | undefined =>
  Object.hasOwn(environment, name) ? environment[name] : undefined;

interface Row {
  readonly word: string;
  readonly expanded?: string;
  readonly fails?: true;
}
const rows: Row[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'fixtures', 'expansion', 'words.json'), 'utf8'),
);

describe('a word expands as in BuildKit', () => {
  test.each(rows)('$word', ({ word, expanded, fails }) => {
    if (fails) expect(() => expandWord(word, lookup)).toThrow(CairnError);
    else expect(expandWord(word, lookup).text).toBe(expanded);
  });
});

describe('variables (V01 to V09)', () => {
  test('what is unset is empty, and reported', () => {
    expect(expandWord('a$b$PWD${c}$PWD$b', lookup)).toEqual({
      text: 'a/home/home',
      used: ['PWD'],
      unset: ['b', 'c'],
    });
  });
  test.each([
    ['$1$@$*$#$?$-$$$!$0x', 'x'],
    ['$999aaa', 'aaa'],
    ['$.', '$.'],
    ['${x-w}${NULL-w}${x:-w}${NULL:-w}', 'www'],
    ['${PWD+w}${NULL+w}${x+w}${NULL:+w}', 'ww'],
    ['${x:-bbb {foo}', 'bbb {foo'],
    ['${x:-"a}b"}', 'a}b'],
    ['${PWD#/}${PWD##*o}${PWD%me}${PWD%%o*}', 'homeme/ho/h'],
    ['${PWD/o/0}${PWD//[a-z]/x}${PWD//\\//-}', '/h0me/home-home'],
    ['${x:-${y:-${PWD}}}', '/home'],
  ])('%s gives %j', (word, text) => {
    expect(expandWord(word, lookup).text).toBe(text);
  });
  test.each([
    '${}',
    '${:}',
    '${{a}',
    '${a',
    '${v:=w}',
    '${v!}',
    '${v:#a}',
    '${v/a',
    '${v/a/b',
    '${a:-"b}',
    '"$PWD',
    "'a",
    '${PWD%\\x}',
  ])('%s is refused', (word) => {
    expect(() => expandWord(word, lookup)).toThrow(expect.objectContaining({ code: 'EXPANSION_INVALID' }));
  });
  test.each([
    ['${v:?give it}', 'v: give it'],
    ['${v?}', 'v: is not allowed to be unset'],
    ['${NULL:?}', 'NULL: is not allowed to be empty'],
  ])('%s demands a value', (word, message) => {
    expect(() => expandWord(word, lookup)).toThrow(
      expect.objectContaining({ code: 'VARIABLE_REQUIRED', message }),
    );
  });
  test('a fault is marked where it is in the word', () => {
    const span = { file: 'Dockerfile', line: 3, column: 6, length: 9, endLine: 3, source: 'USER ab${v!}cd' };
    expect(() => expandWord({ text: 'ab${v!}cd', span }, lookup)).toThrow(
      expect.objectContaining({ at: expect.objectContaining({ line: 3, column: 8 }) }),
    );
  });
});

describe('quotes and escapes (V10 to V13, X15)', () => {
  test('the backtick escapes where it is the escape character', () => {
    const options = { escape: '`' } as const;
    expect(expandWord('C:\\dir`$PWD`"', lookup, options).text).toBe('C:\\dir$PWD"');
    expect(expandWord('"a`"b\\c`d"', lookup, options).text).toBe('a"b\\c`d');
  });
  test('quotes can be kept', () => {
    expect(expandWord(`"$PWD" '$PWD'`, lookup, { quotes: 'keep' }).text).toBe(`"/home" '/home'`);
  });
});

describe('word splitting (V16)', () => {
  test.each([
    ['80 $TWO', ['80', '1', '2']],
    ['"80 $TWO"', ['80 1  2']],
    ['a\\ b', ['a b']],
    ["'' x", ['x']],
    ['$x', []],
    ['a$TWO', ['a1', '2']],
    ['<< a', ['<< a']],
  ])('%s gives %j', (word, words) => {
    const two = (name: string): string | undefined => (name === 'TWO' ? '1  2' : undefined);
    expect(expandWords(word, two).words).toEqual(words);
  });
});

describe('heredoc bodies (V22)', () => {
  test.each([
    ['a "$PWD" \'$PWD\'\n', 'a "/home" \'/home\'\n'],
    ['\\$PWD \\\\ \\a\n', '$PWD \\ a\n'],
    ['a \\\nb\n', 'a \nb\n'],
    ['it\'s ${x:-"q"}\n', 'it\'s "q"\n'],
  ])('%j becomes %j', (body, text) => {
    expect(expandHeredoc(body, lookup).text).toBe(text);
  });
});

test('no pattern makes matching slow', () => {
  const value = 'a'.repeat(3000);
  const long = (name: string): string | undefined => (name === 'v' ? value : undefined);
  const stars = `${'*a'.repeat(20)}b`;
  expect(expandWord(`${'$'}{v%${stars}}${'$'}{v#${stars}}`, long).text).toBe(value + value);
  expect(expandWord(`${'$'}{v//${stars}/x}`, long).text).toBe(value);
});
