import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ExplainedBuilds } from '../support/explained-builds.ts';
import { scratchFolder } from '../support/scratch.ts';

function project(): ExplainedBuilds {
  const builds = new ExplainedBuilds(scratchFolder());
  for (const path of ['a', 'b', 'c']) builds.file(path, path);
  return builds;
}

const lines = (...text: string[]) => `FROM scratch\n${text.join('\n')}\n`;

/** Everything in the store but times. */
function listing(builds: ExplainedBuilds): readonly string[] {
  const names = readdirSync(builds.root, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => !/^(?:tmp|leases)\//.test(name)).sort();
}

describe('a dry run', () => {
  test('says for each step whether its result is known, and changes nothing', async () => {
    const builds = project();
    const text = lines('COPY a /a', 'COPY b /b', 'WORKDIR /w');
    await builds.build(text);
    builds.file('b', 'new');
    const before = listing(builds);
    expect(await builds.forecast(text)).toEqual([
      'hit COPY a /a: from 2026-01-01T00:01:00.000Z',
      'miss COPY b /b: b changed (content), 1 of 1 file',
      'unknown WORKDIR /w: it depends on a result above that is not known; its own inputs are as before',
    ]);
    expect(listing(builds)).toEqual(before);
  });

  test('says of steps below a miss what of their own inputs changed', async () => {
    const builds = project();
    const text = (command: string) => lines('COPY a /a', 'COPY b /b', `RUN ${command}`, 'COPY c /c');
    await builds.build(lines('COPY a /a', 'COPY b /b', 'COPY c /c'));
    for (const path of ['a', 'b']) builds.file(path, 'new');
    expect(await builds.forecast(text('make'))).toEqual([
      'miss COPY a /a: a changed (content), 1 of 1 file',
      'unknown COPY b /b: it depends on a result above that is not known; b changed (content), 1 of 1 file',
      'unknown RUN make: it depends on a result above that is not known; no result of it is known yet',
      'unknown COPY c /c: it depends on a result above that is not known; its own inputs are as before',
    ]);
  });

  test('finds a step by its content when its parent is known', async () => {
    const builds = project();
    await builds.build(lines('COPY a /a', 'COPY b /b'));
    await builds.build(lines('COPY c /c'));
    const [, step] = await builds.forecast(lines('COPY c /c', 'COPY b /b'));
    expect(step).toMatch(/^hit COPY b \/b: a known layer with the same content \(COPY c \/c above is new\)$/);
  });

  test('cannot tell what takes files of a stage that is not known', async () => {
    const builds = project();
    const text =
      'FROM scratch AS x\nRUN make\nFROM scratch\nCOPY --from=x /o /o\nRUN --mount=from=x,target=/m t\n';
    expect(await builds.forecast(text)).toEqual([
      'miss RUN make: no result of it is known yet',
      'unknown COPY --from=x /o /o: it takes files of stage "x", whose result is not known',
      'unknown RUN --mount=from=x,target=/m t: it takes files of stage "x", whose result is not known',
    ]);
  });

  test('with --no-cache expects every step to be executed', async () => {
    const builds = project();
    const text = lines('COPY a /a', 'WORKDIR /w');
    await builds.build(text);
    expect(await builds.forecast(text, { noCache: true })).toEqual([
      'miss COPY a /a: --no-cache',
      'miss WORKDIR /w: --no-cache',
    ]);
  });

  test('looks at named contexts as bases', async () => {
    const builds = project();
    const namedContexts = { base: { kind: 'dir', path: builds.context } } as const;
    await builds.withStore(() => undefined);
    expect(await builds.forecast('FROM base\nCOPY a /z\n', { namedContexts })).toEqual([
      expect.stringMatching(/^unknown COPY a \/z/),
    ]);
    await builds.build('FROM base\nCOPY a /z\n', { namedContexts });
    expect(await builds.forecast('FROM base\nCOPY a /z\n', { namedContexts })).toEqual([
      expect.stringMatching(/^hit COPY a \/z/),
    ]);
  });

  test('fails as the build would where that needs no execution', async () => {
    const forecast = project().forecast(lines('COPY absent /a'));
    await expect(forecast).rejects.toMatchObject({ code: 'COPY_SOURCE_NOT_FOUND' });
  });
});

describe('--require-cached', () => {
  const options = { requireCached: true } as const;

  test('builds from the cache what is there', async () => {
    const builds = project();
    const text = lines('COPY a /a', 'WORKDIR /w');
    const { imageId } = await builds.run(text);
    expect((await builds.run(text, options)).imageId).toBe(imageId);
  });

  test('takes a layer that is known by its content', async () => {
    const builds = project();
    await builds.build(lines('COPY a /a', 'COPY b /b'));
    await builds.build(lines('COPY c /c'));
    const steps = await builds.build(lines('COPY c /c', 'COPY b /b'), options);
    expect(steps.map(({ cached }) => cached)).toEqual([true, true]);
  });

  test('fails at the first step that is not there, with its place and the reason, and makes nothing', async () => {
    const builds = project();
    const text = lines('COPY a /a', 'COPY b /b', 'RUN make');
    await builds.build(lines('COPY a /a', 'COPY b /b'));
    builds.file('b', 'new');
    const before = listing(builds);
    await expect(builds.build(text, options)).rejects.toMatchObject({
      code: 'NOT_CACHED',
      message: 'the result of "COPY b /b" is not in the cache: b changed (content), 1 of 1 file',
      at: { line: 3 },
    });
    expect(listing(builds)).toEqual(before);
  });

  test('never runs a command', async () => {
    await expect(project().build(lines('RUN make'), options)).rejects.toMatchObject({
      code: 'NOT_CACHED',
      message: 'the result of "RUN make" is not in the cache: no result of it is known yet',
    });
  });
});

test('--no-cache-filter executes the steps of one stage only', async () => {
  const builds = project();
  const text = 'FROM scratch AS x\nCOPY a /a\nFROM scratch AS y\nCOPY b /b\nCOPY --from=x /a /a\n';
  await builds.build(text);
  const steps = await builds.build(text, { noCacheFilter: ['X'] });
  const said = steps.map(({ name, cached, note }) => `${name} ${cached} ${cached ? '' : note}`);
  expect(said.sort()).toEqual([
    'COPY --from=x /a /a true ',
    'COPY a /a false --no-cache-filter x',
    'COPY b /b true ',
  ]);
});
