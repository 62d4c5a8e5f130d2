import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { similarity } from '../../src/builder/explain/nearest-record.ts';
import { collectGarbage, pruneCache } from '../../src/store/index.ts';
import { ExplainedBuilds } from '../support/explained-builds.ts';
import { scratchFolder } from '../support/scratch.ts';

function project(): ExplainedBuilds {
  const builds = new ExplainedBuilds(scratchFolder());
  for (const path of ['a', 'b', 'c']) builds.file(path, path);
  return builds;
}

const lines = (...text: string[]) => `FROM scratch\n${text.join('\n')}\n`;

describe('the record to compare with', () => {
  test('is that of the same text when a line was put in above', async () => {
    const builds = project();
    await builds.build(lines('COPY a /a', 'COPY b /b'));
    builds.file('b', 'new');
    const steps = await builds.build(lines('COPY c /c', 'COPY a /a', 'COPY b /b'));
    expect(steps.map(({ note }) => note)).toEqual([
      'no result of it is known yet',
      // A layer with the same content is there, whatever is below it.
      'a known layer with the same content (COPY c /c above is new)',
      'b changed (content), 1 of 1 file',
    ]);
  });

  test('is that of the same text when a line was taken out above', async () => {
    const builds = project();
    await builds.build(lines('COPY a /a', 'COPY b /b', 'COPY c /c'));
    const steps = await builds.build(lines('COPY b /b', 'COPY c /c'));
    expect(steps[1]?.note).toContain('COPY a /a above is gone');
  });

  test('is that of the same place when its text changed', async () => {
    const builds = project();
    await builds.build(lines('COPY a /a', 'COPY b /b'));
    const steps = await builds.build(lines('COPY a /a', 'COPY b /other'));
    expect(steps[1]?.note).toBe('the instruction was "COPY b /b", is "COPY b /other"');
  });

  test('is that of a similar text when lines were put in above and it changed as well', async () => {
    const builds = project();
    await builds.build(lines('COPY --chmod=600 --chown=1:2 a /x/y/z'));
    const steps = await builds.build(lines('WORKDIR /w', 'COPY --chmod=600 --chown=1:3 a /x/y/z'));
    expect(steps[1]?.note).toBe(
      'the instruction was "COPY --chmod=600 --chown=1:2 a /x/y/z", is "COPY --chmod=600 --chown=1:3 a /x/y/z"',
    );
  });

  test('is of the stage with the same name when a stage was put in before it', async () => {
    const builds = project();
    await builds.build('FROM scratch AS x\nCOPY a /a\n');
    builds.file('a', 'new');
    const text = 'FROM scratch AS w\nCOPY b /b\nFROM scratch AS x\nCOPY --from=w /b /b\nCOPY a /a\n';
    const steps = await builds.build(text);
    expect(steps.at(-1)?.note).toBe('a changed (content), 1 of 1 file');
  });

  test('is the nearest one, file by file, when builds go back and forth', async () => {
    const builds = project();
    const text = lines('COPY . /x/');
    await builds.build(text);
    builds.file('a', 'other');
    await builds.build(text);
    builds.file('a', 'a');
    expect((await builds.build(text))[0]?.cached).toBe(true);
    builds.file('b', 'other');
    expect((await builds.build(text))[0]?.note).toBe('b changed (content), 1 of 3 files');
  });

  test('is none for another Dockerfile', async () => {
    const builds = project();
    await builds.build(lines('COPY a /a'));
    builds.file('a', 'new');
    const other = { dockerfile: { kind: 'text', text: lines('COPY a /a'), name: 'Other' } } as const;
    expect((await builds.build('', other))[0]?.note).toBe('no result of it is known yet');
  });
});

test('a change above that changes nothing here is found by content', async () => {
  const builds = project();
  await builds.build(lines('COPY a /a', 'COPY b /b'));
  builds.file('a', 'new');
  const steps = await builds.build(lines('COPY a /a', 'COPY b /b'));
  expect(steps.map(({ cached }) => cached)).toEqual([false, true]);
  expect(steps[1]?.note).toBe('a known layer with the same content (COPY a /a above changed its result)');
});

test('a cached step says when its result was made, and by which instruction', async () => {
  const builds = project();
  await builds.build(lines('COPY a /a'));
  expect((await builds.build(lines('COPY a /a')))[0]?.note).toBe('from 2026-01-01T00:01:00.000Z');
  expect((await builds.build(lines('COPY ./a /a')))[0]?.note).toBe('from 2026-01-01T00:01:00.000Z');
  const other = { dockerfile: { kind: 'text', text: lines('COPY a /a'), name: 'Other' } } as const;
  expect((await builds.build('', other))[0]?.note).toBe(
    `from 2026-01-01T00:01:00.000Z, "COPY ./a /a" in ${builds.context}#Dockerfile`,
  );
});

test('an edit without effect is no cause of a later miss', async () => {
  const builds = project();
  await builds.build(lines('COPY a b /x/'));
  expect((await builds.build(lines('COPY ./a   ./b /x/')))[0]?.cached).toBe(true);
  builds.file('a', 'new');
  expect((await builds.build(lines('COPY ./a ./b /x/')))[0]?.note).toBe('a changed (content), 1 of 2 files');
});

describe('input lists in the store', () => {
  const names = (builds: ExplainedBuilds) => readdirSync(join(builds.root, 'cache/inputs'));

  test('are shared by records, not written on hits, and go with their records', async () => {
    const builds = project();
    await builds.build(lines('COPY a /a', 'COPY a /b'));
    expect(names(builds)).toHaveLength(1);
    await builds.build(lines('COPY a /a', 'COPY a /b'));
    builds.file('a', 'new');
    await builds.build(lines('COPY a /a', 'COPY a /b'));
    expect(names(builds)).toHaveLength(2);
    await builds.withStore((store) => collectGarbage(store));
    expect(names(builds)).toHaveLength(2);
    await builds.withStore((store) => pruneCache(store, { all: true }));
    expect(names(builds)).toEqual([]);
  });

  test.each([
    ['gone', (path: string) => rmSync(path)],
    ['damaged', (path: string) => writeFileSync(path, 'no list')],
    ['empty', (path: string) => writeFileSync(path, '')],
  ])('that are %s cost the detail, not the build', async (_, damage) => {
    const builds = project();
    await builds.build(lines('COPY a /a'));
    for (const name of names(builds)) damage(join(builds.root, 'cache/inputs', name));
    builds.file('a', 'new');
    expect((await builds.build(lines('COPY a /a')))[0]?.note).toBe('a file that it copies changed');
  });
});

test.each([
  ['RUN a b', 'RUN a b', 1],
  ['RUN a', 'RUN b', 0],
  ['RUN a b', 'COPY a c', 0.5],
  ['RUN a a', 'RUN a b', 0.5],
  ['RUN', 'RUN', 1],
])('%j and %j are alike by %d', (a, b, expected) => {
  expect(similarity(a, b)).toBe(expected);
});
