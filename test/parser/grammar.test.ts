import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import nearley from 'nearley';
import { describe, expect, test } from 'vitest';
import { type Token, tokenize } from '../../src/parser/lexer.ts';
import { LineReader } from '../../src/parser/line-reader.ts';
import { grammar, TokenFeed } from '../../src/parser/read-nodes.ts';
import { SourceText } from '../../src/parser/source-text.ts';

const parserFolder = join(import.meta.dirname, '..', '..', 'src', 'parser');

test('the compiled grammar is what grammar.ne says', () => {
  const script = join(parserFolder, '..', '..', 'scripts', 'grammar.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

test('no rule of the grammar is right-recursive', () => {
  const text = readFileSync(join(parserFolder, 'grammar.ne'), 'utf8');
  for (const line of text.split('\n')) {
    const [, name, symbols] = /^(\w+)\s*->\s*(.*?)\s*(?:\{%|$)/.exec(line) ?? [];
    if (name !== undefined) expect(symbols!.split(/\s+/).slice(1)).not.toContain(name);
  }
});

describe('tokens', () => {
  const tokens = (line: string): [string, string][] =>
    [...tokenize(line, '\\')].map((token: Token) => [token.type, token.value]);
  test.each<[string, [string, string][]]>([
    [
      'FROM a AS b',
      [
        ['wordsKeyword', 'FROM'],
        ['word', 'a'],
        ['word', 'AS'],
        ['word', 'b'],
        ['end', ''],
      ],
    ],
    [
      'run --mount="a b" x <<E y ',
      [
        ['commandKeyword', 'run'],
        ['flag', '--mount="a b"'],
        ['text', 'x '],
        ['heredoc', '<<E'],
        ['text', ' y'],
        ['end', ''],
      ],
    ],
    [
      'CMD ["a", "b"]',
      [
        ['commandKeyword', 'CMD'],
        ['open', '['],
        ['string', '"a"'],
        ['comma', ','],
        ['string', '"b"'],
        ['close', ']'],
        ['end', ''],
      ],
    ],
    [
      'ENV a=b "c d"=e',
      [
        ['pairsKeyword', 'ENV'],
        ['assignment', 'a=b'],
        ['assignment', '"c d"=e'],
        ['end', ''],
      ],
    ],
    [
      'LABEL a  b=c',
      [
        ['pairsKeyword', 'LABEL'],
        ['legacyKey', 'a'],
        ['legacyValue', 'b=c'],
        ['end', ''],
      ],
    ],
    [
      'ONBUILD HEALTHCHECK CMD a b',
      [
        ['triggerKeyword', 'ONBUILD'],
        ['healthKeyword', 'HEALTHCHECK'],
        ['healthType', 'CMD'],
        ['text', 'a b'],
        ['end', ''],
      ],
    ],
    [
      'FOO --x y',
      [
        ['unknownKeyword', 'FOO'],
        ['flag', '--x'],
        ['text', 'y'],
        ['end', ''],
      ],
    ],
  ])('%s', (line, expected) => {
    expect(tokens(line)).toEqual(expected);
  });
});

describe('parsing is linear', () => {
  /** States that nearley makes: its work, whatever the machine. */
  const work = (text: string): number => {
    const reader = new LineReader(new SourceText(text, 'Dockerfile'));
    let states = 0;
    for (let line = reader.readInstruction(); line !== undefined; line = reader.readInstruction()) {
      const parser = new nearley.Parser(grammar(), {
        lexer: new TokenFeed(tokenize(line.text, '\\')),
        keepHistory: true,
      });
      parser.feed('');
      const { table } = parser as unknown as { table: { states: unknown[] }[] };
      states += table.reduce((sum, column) => sum + column.states.length, 0);
    }
    return states;
  };
  const body = (lines: number): string =>
    'RUN a && b\nENV a=b "c d"=e\nCOPY x y /z\nCMD ["a", "b"]\n'.repeat(lines / 4);
  test('in the number of lines', () => {
    const one = work(body(5_000));
    expect(work(body(10_000))).toBe(2 * one);
    expect(one / 5_000).toBeLessThan(150);
  });
  test.each([
    ['words of COPY', (count: number) => `COPY ${'a '.repeat(count)}/b`],
    ['pairs of ENV', (count: number) => `ENV ${'a=b '.repeat(count)}`],
    ['elements of a JSON array', (count: number) => `CMD [${'"a",'.repeat(count)}"b"]`],
    ['flags', (count: number) => `RUN ${'--mount=target=/a '.repeat(count)}b`],
    ['continuations', (count: number) => `RUN a${' \\\n b'.repeat(count)}`],
    ['heredoc words', (count: number) => `COPY ${'<<E '.repeat(count)}/a`],
  ])('in the number of %s', (_, make) => {
    const one = work(make(1_000));
    const two = work(make(2_000));
    expect(two).toBeLessThanOrEqual(2 * one);
    expect(one).toBeLessThan(60_000);
  });
});
