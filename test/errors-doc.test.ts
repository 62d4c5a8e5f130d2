import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '../src/errors/codes.ts';

const root = resolve(import.meta.dirname, '..');
const codes = Object.keys(errorCodes);
const sections = readSections(readFileSync(join(root, 'docs/errors.md'), 'utf8'));

describe('the catalogue of error codes', () => {
  test('is sorted', () => {
    expect(codes).toEqual([...codes].sort());
  });

  test('has no code that nothing throws', () => {
    const text = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && name !== 'errors/codes.ts')
      .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
      .join('\n');
    expect(codes.filter((code) => !new RegExp(`['"\`]${code}['"\`]`).test(text))).toEqual([]);
  });
});

describe('docs/errors.md', () => {
  test('has a section for each code, in order, and for nothing else', () => {
    expect([...sections.keys()]).toEqual(codes);
  });

  test.each(codes)('says what %s is, why it happens and what to do', (code) => {
    const section = sections.get(code) ?? '';
    expect(section).toContain(sentence(errorCodes[code as keyof typeof errorCodes]));
    expect(section).toMatch(/^\*\*Why\.\*\* \S.{15}/m);
    expect(section).toMatch(/^\*\*What to do\.\*\* \S.{10}/m);
  });
});

/** Text below each `## CODE` heading. */
function readSections(markdown: string): Map<string, string> {
  const parts = markdown.split(/^## /m).slice(1);
  return new Map(
    parts.map((part) => [part.slice(0, part.indexOf('\n')).trim(), part.slice(part.indexOf('\n'))]),
  );
}

/** The catalogue's short explanation as it stands in the page: a sentence. */
function sentence(explanation: string): string {
  return `${explanation[0]!.toUpperCase()}${explanation.slice(1)}.`;
}
