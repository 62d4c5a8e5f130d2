import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { CairnError } from '../../src/errors/index.ts';
import { expandHeredoc, expandWord, expandWords, parseDockerfile } from '../../src/parser/index.ts';

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
