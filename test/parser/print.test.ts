import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { printDockerfile } from '../../src/parser/index.ts';
import { fuzzParser, meaningOf } from '../fuzz/parser.ts';
import { parse } from './parse.ts';

const realworld = join(import.meta.dirname, '..', '..', 'fixtures', 'realworld');

describe('what is printed parses to the same', () => {
  test.each(readdirSync(realworld))('%s', (name) => {
    const dockerfile = parse(readFileSync(join(realworld, name)));
    expect(meaningOf(parse(printDockerfile(dockerfile)))).toBe(meaningOf(dockerfile));
  });
  test.each([
    ['directives', '# escape=`\n# syntax=docker/dockerfile:1\n# check=skip=all\nFROM a\nRUN b `\n c'],
    ['a comment that looks like a directive', '\n# escape=`\nFROM a'],
    ['heredocs', "FROM a\nRUN <<-A cat <<'B'\n\tx\n\tA\n# y \\\nB\nONBUILD COPY <<C /d\nz\nC\n"],
    ['a dangling escape', 'FROM a\nENV b=c\\ \\\n'],
    ['a very long instruction', `FROM a\nRUN ${'word # \\" '.repeat(2_000)}\\\n${'x'.repeat(60_000)}`],
  ])('%s', (_, text) => {
    const dockerfile = parse(text);
    expect(meaningOf(parse(printDockerfile(dockerfile)))).toBe(meaningOf(dockerfile));
  });
  test('generated texts, which also break nothing else', () => {
    expect(fuzzParser(3_000, 42).accepted).toBeGreaterThan(300);
  });
});

test('printing twice gives the same text', () => {
  const once = printDockerfile(parse('# a\nFROM x \\\n AS y\n\n\nrun b'));
  expect(once).toBe('\n#\n# a\nFROM x  AS y\nrun b\n');
  expect(printDockerfile(parse(once))).toBe(once);
});
