import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type BuildEvent, type BuildOptions, build } from '../../src/builder/index.ts';
import { openStore } from '../../src/store/index.ts';
import { scratchFolder } from '../support/scratch.ts';

/** The events of a build of this Dockerfile: a letter for start, end, cached end and error, with the step's name. */
async function eventsOf(dockerfile: string, options: Partial<BuildOptions> = {}): Promise<readonly string[]> {
  const folder = scratchFolder();
  const path = join(folder, 'context');
  mkdirSync(path);
  writeFileSync(join(path, 'a'), 'a');
  const store = openStore({ root: join(folder, 'store') });
  const names = new Map<number, string>();
  const seen: string[] = [];
  const onEvent = (event: BuildEvent) => {
    if (event.type === 'plan')
      for (const { id, stage, name } of event.steps) names.set(id, `${stage ? `[${stage}] ` : ''}${name}`);
    if (event.type === 'step-start') seen.push(`start ${names.get(event.id)}`);
    if (event.type === 'step-end') seen.push(`${event.cached ? 'cached' : 'end'} ${names.get(event.id)}`);
    if (event.type === 'step-error') seen.push(`error ${names.get(event.id)}`);
  };
  try {
    await build({
      store,
      context: { kind: 'dir', path },
      dockerfile: { kind: 'text', text: dockerfile, name: 'Dockerfile' },
      onEvent,
      ...options,
    });
  } catch (error) {
    seen.push(`thrown ${(error as { code?: string }).code}`);
  } finally {
    store.close();
  }
  return seen;
}

describe('every step that is shown has a start and then an end or an error', () => {
  test.each<[string, string, string[]]>([
    ['a layer', 'COPY a /a', ['start COPY a /a', 'end COPY a /a']],
    ['WORKDIR with a layer', 'WORKDIR /w', ['start WORKDIR /w', 'end WORKDIR /w']],
    ['WORKDIR without one', 'WORKDIR /', ['start WORKDIR /', 'cached WORKDIR /']],
    ['metadata', 'ENV A=1', []],
    [
      'a COPY whose source is not there',
      'COPY nosuch /a',
      ['start COPY nosuch /a', 'error COPY nosuch /a', 'thrown COPY_SOURCE_NOT_FOUND'],
    ],
    [
      'a COPY whose words cannot be expanded',
      'COPY ${X:?unset} /a',
      ['start COPY ${X:?unset} /a', 'error COPY ${X:?unset} /a', 'thrown VARIABLE_REQUIRED'],
    ],
    ['metadata that fails', 'ENV A=${X:?unset}', ['thrown VARIABLE_REQUIRED']],
  ])('%s', async (_, instruction, expected) => {
    expect(await eventsOf(`FROM scratch\n${instruction}\n`)).toEqual(expected);
  });

  test('steps of several platforms have their own numbers and say whose they are', async () => {
    const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
    expect(await eventsOf('FROM scratch\nCOPY a /a\n', { platforms })).toEqual([
      'start [linux/amd64] COPY a /a',
      'end [linux/amd64] COPY a /a',
      'start [linux/arm64] COPY a /a',
      'cached [linux/arm64] COPY a /a',
    ]);
  });
});
