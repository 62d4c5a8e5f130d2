import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BuildOptions } from '../../src/builder/index.ts';
import { parseReference } from '../../src/oci/index.ts';
import { runBuildOracle } from '../fuzz/build-oracle.ts';
import { BuildBench } from '../support/build-bench.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

skipBecause(unlessRoot());

const start = [
  'FROM busybox',
  'ARG V=1',
  'RUN --mount=type=bind,source=d,target=/m cat /m/f',
  'RUN echo $V > /v',
  'RUN cat /v',
];

describe('the cause of a RUN that was executed', () => {
  let bench: BuildBench;
  beforeAll(async () => {
    bench = await new BuildBench().withBusybox();
    bench.file('d/f', '1');
    bench.file('d/g', '1');
    await notes(start);
  });
  afterAll(() => bench.remove());

  /** What a build says about the steps that it executes. */
  async function notes(
    lines: readonly string[],
    options: Partial<BuildOptions> = {},
  ): Promise<readonly string[]> {
    const said: string[] = [];
    const onEvent: BuildOptions['onEvent'] = (event) => {
      if (event.type === 'step-end' && !event.cached) said.push(event.note ?? '');
    };
    await bench.build(lines, { ...options, onEvent });
    return said;
  }

  test('is a file that it mounts; what gives the same layer leaves the steps below alone', async () => {
    bench.file('d/f', '2');
    expect(await notes(start)).toEqual(['the bind mount at /m: d/f changed (content), 1 of 3 files']);
  });

  test('is an argument with both values, and the step above for what builds on it', async () => {
    const all = await notes(start, { buildArgs: { V: '2' } });
    expect(all).toEqual(Array.from({ length: 3 }, () => 'argument V was "1", is "2"'));
    const below = [...start.slice(0, 4), 'ARG V=', 'RUN cat /v'];
    await notes(below);
    const [first, ...rest] = await notes([...below.slice(0, 3), 'RUN echo $V-$V > /v', ...below.slice(4)]);
    expect(first).toBe('the instruction was "RUN echo $V > /v", is "RUN echo $V-$V > /v"');
    expect(rest).toEqual(['RUN echo $V-$V > /v above is new']);
  });

  test.each<[string, readonly string[], Partial<BuildOptions>, string]>([
    ['the user', [...start.slice(0, 4), 'USER 1000', 'RUN cat /v'], {}, 'the user was (none), is "1000"'],
    ['the network', start, { network: 'none' }, 'the option network was "host", is "none"'],
    ['a host', start, { extraHosts: [['h', '1.2.3.4']] }, 'the option add-host was (none), is "h:1.2.3.4"'],
    ['a variable', [...start.slice(0, 4), 'ENV E=x', 'RUN cat /v'], {}, 'environment variable E is new: "x"'],
    [
      'the shell',
      [...start.slice(0, 4), 'SHELL ["/bin/sh", "-ec"]', 'RUN cat /v'],
      {},
      'SHELL was "[\\"/bin/sh\\",\\"-c\\"]", is "[\\"/bin/sh\\",\\"-ec\\"]"',
    ],
    [
      'a secret is none',
      ['FROM busybox', 'RUN --mount=type=secret,id=s,required=false true'],
      {},
      'no result of it is known yet',
    ],
  ])('is %s', async (_, lines, options, expected) => {
    expect((await notes(lines, options)).at(-1)).toBe(expected);
  });

  test('is another base image of the same name, by digests', async () => {
    const lines = ['FROM busybox', 'RUN true'];
    await notes(lines);
    await bench.build(['FROM busybox', 'RUN echo > /new'], { tags: [parseReference('busybox:latest')] });
    expect(await notes(lines)).toEqual([
      expect.stringMatching(/^FROM busybox:latest: sha256:[0-9a-f]{64} → sha256:[0-9a-f]{64}$/),
    ]);
  });
});

test('cached builds with commands give the images of builds without cache', async () => {
  expect((await runBuildOracle(40, 40_000, { base: 'busybox' })).builds).toBe(40);
});
