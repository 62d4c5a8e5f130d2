import { expect, test } from 'vitest';
import { listTargets, outlineTarget } from '../../src/parser/index.ts';
import { parse } from './parse.ts';

test('targets are listed with their descriptions', () => {
  const dockerfile = parse('ARG B=x\n# build compiles\nFROM --platform=$P $B AS build\nFROM build');
  expect(listTargets(dockerfile).map(({ span, ...target }) => ({ ...target, line: span.line }))).toEqual([
    { name: 'build', description: 'compiles', isDefault: false, base: '$B', platform: '$P', line: 3 },
    { isDefault: true, base: 'build', line: 4 },
  ]);
});

const text = `
# BASE is where to start
ARG BASE=\${OTHER:-scratch}
ARG OTHER
ARG IMPORTED=1
ARG UNUSED=2
# first prepares
FROM $BASE AS first
# ONE is one
ARG ONE=1
RUN --mount=type=secret,id=token,required --mount=type=ssh true
FROM scratch AS unrelated
ARG NOT_SHOWN
FROM scratch AS last
ARG IMPORTED
ARG TWO=$IMPORTED
COPY --from=first /a /a
`;

test('an outline has the arguments, secrets and agents of the target and what it needs', () => {
  const outline = outlineTarget(parse(text), undefined, { buildArgs: { ONE: 'given' } });
  expect(outline.name).toBe('last');
  expect(outline.args.map(({ name, value, description }) => [name, value, description])).toEqual([
    ['BASE', 'scratch', 'is where to start'],
    ['IMPORTED', '1', undefined],
    ['ONE', 'given', 'is one'],
    ['TWO', '1', undefined],
  ]);
  expect(outline.secrets.map(({ id, required }) => [id, required])).toEqual([['token', true]]);
  expect(outline.ssh.map(({ id, required }) => [id, required])).toEqual([['default', false]]);
});

test('the outline of one stage leaves the others out', () => {
  const dockerfile = parse(text);
  const outline = outlineTarget(dockerfile, dockerfile.stages[1]);
  expect(outline).toMatchObject({
    name: 'unrelated',
    args: [{ name: 'NOT_SHOWN', value: '' }],
    secrets: [],
    ssh: [],
  });
});
