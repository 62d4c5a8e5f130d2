import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** How many features each section of the language has. */
const sections = {
  X: 29,
  V: 22,
  I: 37,
  A: 13,
  H: 11,
  C: 39,
  D: 21,
  M: 12,
  K: 12,
  O: 29,
  Z: 10,
  L: 13,
  B: 22,
};

interface Row {
  readonly id: string;
  readonly verdict: string;
  readonly reason: string;
  /** What the last column names in code spans. */
  readonly evidence: readonly string[];
}

const rows = read('docs/dockerfile-support.md')
  .split('\n')
  .flatMap((line): Row[] => {
    const [, id, verdict, reason] =
      /^\| ([A-Z]\d\d) \| .* \| (yes|no|elsewhere) \| (.*) \|$/.exec(line) ?? [];
    if (id === undefined || verdict === undefined || reason === undefined) return [];
    const evidence = [...reason.matchAll(/`((?:builds|errors|lint|test)\/[^`]*)`/g)].map(
      (match) => match[1]!,
    );
    return [{ id, verdict, reason, evidence }];
  });

/** What is wrong with a piece of evidence for a row; undefined when nothing is. */
function problem(id: string, evidence: string): string | undefined {
  const [kind = ''] = evidence.split('/', 1);
  const name = evidence.slice(kind.length + 1);
  if (kind === 'builds') {
    const file = `fixtures/builds/${name}/fixture.json`;
    if (!existsSync(join(root, file))) return `${file} does not exist`;
    const listed: readonly string[] = JSON.parse(read(file)).rows ?? [];
    return listed.includes(id) || name.startsWith('copy-') ? undefined : `${file} does not list ${id}`;
  }
  if (kind === 'errors')
    return existsSync(join(root, 'fixtures/errors', name)) ? undefined : `fixtures/errors/${name} is missing`;
  if (kind === 'lint')
    return read('fixtures/lint/cases.json').includes(`"rule": "${name}"`) ? undefined : `no case for ${name}`;
  const [file = '', ...text] = evidence.split(': ');
  if (!existsSync(join(root, file))) return `${file} does not exist`;
  const wanted = text.join(': ');
  if (wanted !== '') return read(file).includes(wanted) ? undefined : `${file} does not say "${wanted}"`;
  return mentions(read(file), id) ? undefined : `${file} does not mention ${id}`;
}

/** By itself, or within a range: `C08 to C23`. */
function mentions(text: string, id: string): boolean {
  if (new RegExp(`\\b${id}\\b`).test(text)) return true;
  const ranges = [...text.matchAll(/\b([A-Z])(\d\d) to \1(\d\d)\b/g)];
  return ranges.some(([, letter, from = '', to = '']) => {
    const number = id.slice(1);
    return id[0] === letter && number >= from && number <= to;
  });
}

describe('docs/dockerfile-support.md', () => {
  test('has a row for each feature, once, in order', () => {
    const expected = Object.entries(sections).flatMap(([letter, count]) =>
      Array.from({ length: count }, (_, i) => `${letter}${String(i + 1).padStart(2, '0')}`),
    );
    expect(rows.map(({ id }) => id).sort()).toEqual([...expected].sort());
  });

  test.each(rows.filter(({ verdict }) => verdict === 'yes'))(
    '$id is shown by what exists and is about it',
    (row) => {
      expect(row.evidence, row.reason).not.toEqual([]);
      expect(row.evidence.flatMap((each) => problem(row.id, each) ?? [])).toEqual([]);
    },
  );

  test.each(rows.filter(({ verdict }) => verdict !== 'yes'))('$id says why not', (row) => {
    expect(row.reason.length).toBeGreaterThan(20);
  });
});
