import { describe, expect, test } from 'vitest';
import { checkEntitlements } from '../../src/builder/entitlements.ts';
import { type BuildPlan, planBuild } from '../../src/builder/plan.ts';
import { CairnError } from '../../src/errors/index.ts';
import { parseDockerfile } from '../../src/parser/index.ts';
import type { ImageRecord } from '../../src/store/contracts.ts';

/** Plans a Dockerfile whose lines are given; every image exists. */
function plan(lines: readonly string[], target?: string): Promise<BuildPlan> {
  const findImage = async (name: string): Promise<ImageRecord> =>
    ({
      id: name,
      config: { config: {}, rootfs: { type: 'layers', diff_ids: [] } },
    }) as unknown as ImageRecord;
  return planBuild(parseDockerfile(lines.join('\n'), { file: 'Dockerfile' }), {
    buildArgs: {},
    findImage,
    openLayout: () => Promise.reject(new Error('no layout is named')),
    ...(target === undefined ? {} : { target }),
  });
}

async function failure(work: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof work === 'function' ? work() : work);
    return 'none';
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    return `${error.code} at line ${error.at?.line}`;
  }
}

describe('stages that mounts need', () => {
  test('are built, and others are not', async () => {
    const { stages } = await plan([
      'FROM base AS one',
      'FROM base AS unused',
      'FROM one AS two',
      'FROM base',
      'RUN --mount=from=TWO,target=/x --mount=type=cache,target=/y,from=other:1 true',
    ]);
    expect(stages.map((stage) => stage.index)).toEqual([0, 2, 3]);
    const [run] = stages.at(-1)?.instructions ?? [];
    expect(
      run?.mountSources?.map((source) => [source?.kind, source?.kind === 'image' && source.name]),
    ).toEqual([
      ['stage', false],
      ['image', 'other:1'],
    ]);
  });

  test('a number names an image, not a stage', async () => {
    const { stages } = await plan(['FROM base AS one', 'FROM base', 'RUN --mount=from=0,target=/x true']);
    expect(stages.map((stage) => stage.index)).toEqual([1]);
    expect(stages[0]?.instructions[0]?.mountSources?.[0]?.kind).toBe('image');
  });

  test.each([
    [
      'a later one',
      ['FROM base AS one', 'RUN --mount=from=two,target=/x true', 'FROM base AS two', 'FROM one'],
      'STAGE_NOT_YET_DEFINED at line 2',
    ],
    ['itself', ['FROM base AS one', 'RUN --mount=from=one,target=/x true'], 'STAGE_CYCLE at line 2'],
    [
      'one that is built from it',
      ['FROM base AS one', 'RUN --mount=from=two,target=/x true', 'FROM one AS two'],
      'STAGE_CYCLE at line 3',
    ],
    [
      'one that copies from it',
      ['FROM base AS one', 'RUN --mount=from=two,target=/x true', 'FROM base AS two', 'COPY --from=0 / /'],
      'STAGE_CYCLE at line 4',
    ],
    [
      'one that the target does not reach, in a circle',
      ['FROM base AS one', 'COPY --from=two / /', 'FROM one AS two', 'FROM base'],
      'STAGE_CYCLE at line 3',
    ],
    [
      'nothing in a circle',
      ['FROM base AS one', 'FROM one AS one', 'RUN --mount=from=base,target=/x true'],
      'none',
    ],
  ])('%s', async (_, lines, expected) => {
    expect(await failure(plan(lines))).toBe(expected);
  });
});

describe('rights that a RUN asks for', () => {
  test.each([
    ['--security=insecure', {}, 'ENTITLEMENT_REQUIRED at line 2'],
    ['--security=insecure', { allow: ['network.host'] }, 'ENTITLEMENT_REQUIRED at line 2'],
    ['--security=insecure', { allow: ['security.insecure'] }, 'none'],
    ['--security=sandbox', {}, 'none'],
    ['--network=host', {}, 'none'],
    ['--network=host', { network: 'host' as const }, 'none'],
    ['--network=host', { network: 'none' as const }, 'ENTITLEMENT_REQUIRED at line 2'],
    ['--network=host', { network: 'none' as const, allow: ['network.host'] }, 'none'],
    ['--network=none', { network: 'none' as const }, 'none'],
    ['--network=default', { network: 'none' as const }, 'none'],
    ['--device=vendor.com/gpu=all', { allow: ['device'] }, 'DEVICE_UNSUPPORTED at line 2'],
  ])('%s with %j', async (flag, options, expected) => {
    const planned = await plan(['FROM base', `RUN ${flag} true`]);
    expect(await failure(() => checkEntitlements(planned, options))).toBe(expected);
  });

  test('count only in stages that are built', async () => {
    const planned = await plan(['FROM base AS one', 'RUN --security=insecure true', 'FROM base']);
    expect(await failure(() => checkEntitlements(planned, {}))).toBe('none');
  });
});
