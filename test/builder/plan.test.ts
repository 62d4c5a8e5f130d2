import { readFileSync } from 'node:fs';
import fastGlob from 'fast-glob';
import { describe, expect, test } from 'vitest';
import { planBuild } from '../../src/builder/plan.ts';
import { parseDockerfile } from '../../src/parser/index.ts';
import type { ImageRecord } from '../../src/store/contracts.ts';

/** An image that has whatever a plan looks at. */
function image(triggers: readonly string[] = []): ImageRecord {
  return {
    config: {
      os: 'linux',
      architecture: 'amd64',
      config: { OnBuild: triggers },
      rootfs: { type: 'layers', diff_ids: [] },
    },
  } as unknown as ImageRecord;
}

/** Plans a text; `asked` collects the images that it needs. */
async function plan(
  text: string,
  options: { target?: string; buildArgs?: Record<string, string>; triggers?: string[] } = {},
) {
  const asked: string[] = [];
  const planned = await planBuild(parseDockerfile(text, { file: 'Dockerfile' }), {
    buildArgs: options.buildArgs ?? {},
    ...(options.target === undefined ? {} : { target: options.target }),
    openLayout: () => Promise.reject(new Error('not needed here')),
    findImage: async (name) => {
      asked.push(name);
      return image(options.triggers);
    },
  });
  return { planned, asked };
}

const files = fastGlob.sync('fixtures/realworld/**/*Dockerfile*', { ignore: ['**/*.json'] }).sort();

describe('the Dockerfiles of official images are planned', () => {
  test.each(files)('%s', async (name) => {
    const { planned, asked } = await plan(readFileSync(name, 'utf8'));
    expect(planned.stages.length).toBeGreaterThan(0);
    expect(asked.length).toBeGreaterThan(0);
  });
});

describe('a plan', () => {
  const diamond =
    'FROM a AS x\nFROM b AS unused\nFROM x AS y\nFROM c\nCOPY --from=y /f /\nCOPY --from=d:1 /g /\n';
  test('holds the stages that the target needs, and asks for their images only', async () => {
    const { planned, asked } = await plan(diamond);
    expect(planned.stages.map((stage) => stage.label)).toEqual(['x', 'y', 'stage-3']);
    expect(asked.sort()).toEqual([
      'docker.io/library/a:latest',
      'docker.io/library/c:latest',
      'docker.io/library/d:1',
    ]);
  });
  test('ends at the target, by name in any case or by index', async () => {
    for (const target of ['Y', '2']) expect((await plan(diamond, { target })).planned.target).toBe(2);
  });
  test('puts the triggers of a base before the instructions of the stage', async () => {
    const { planned } = await plan('FROM a\nENV B=1\n', { triggers: ['ENV A=1'] });
    const [first, second] = planned.stages[0]?.instructions ?? [];
    expect([first?.isTrigger, second?.isTrigger]).toEqual([true, false]);
  });
  test('evaluates ARGs before FROM with build arguments', async () => {
    const { asked } = await plan('ARG TAG=1\nARG NAME=a:$TAG\nFROM $NAME\n', { buildArgs: { TAG: '2' } });
    expect(asked).toEqual(['docker.io/library/a:2']);
  });

  test.each([
    ['an unknown target', 'FROM a\n', { target: 'nope' }, 'STAGE_NOT_FOUND'],
    [
      'a stage that comes later',
      'FROM a\nCOPY --from=late /f /\nFROM b AS late\n',
      { target: '0' },
      'STAGE_NOT_YET_DEFINED',
    ],
    ['an index that is too large', 'FROM a\nCOPY --from=7 /f /\n', {}, 'STAGE_NOT_FOUND'],
    ['a base that is empty', 'ARG N\nFROM $N\n', {}, 'BASE_NAME_EMPTY'],
    ['a platform that is empty', 'ARG P\nFROM --platform=$P a\n', {}, 'PLATFORM_EMPTY'],
    ['a base that is no reference', 'FROM UPPER:1\n', {}, 'REFERENCE_INVALID'],
    ['a stage whose name is in another case (row I02)', 'FROM a AS b\nFROM B\n', {}, 'REFERENCE_INVALID'],
  ] as const)('refuses %s', async (_, text, options, code) => {
    await expect(plan(text, options)).rejects.toThrow(expect.objectContaining({ code }));
  });
});
