import { describe, expect, test } from 'vitest';
import { formatGoDuration, quoteGo, quoteGoList, quoteGoRune } from '../../src/builder/go-format.ts';
import {
  childState,
  imageState,
  type StageState,
  scratchState,
  toImageConfig,
} from '../../src/builder/stage-state.ts';
import { applyMetadata, type MetadataInstruction } from '../../src/builder/steps/metadata.ts';
import type { DiffId, ImageConfig } from '../../src/oci/index.ts';
import { parseDockerfile } from '../../src/parser/index.ts';

const platform = { os: 'linux', architecture: 'amd64' };

function apply(
  text: string,
  from: StageState = scratchState(platform),
  buildArgs: Record<string, string> = {},
): StageState {
  const dockerfile = parseDockerfile(`FROM scratch\n${text}\n`, { file: 'Dockerfile' });
  const scope = {
    escape: dockerfile.directives.escape,
    epoch: 1,
    buildArgs,
    globalArgs: new Map([['GLOBAL', 'g']]),
  };
  const instructions = dockerfile.stages[0]?.instructions ?? [];
  return instructions.reduce((state, each) => applyMetadata(state, each as MetadataInstruction, scope), from);
}

const created = (state: StageState) => state.history.map((entry) => entry.created_by);

describe('histories are worded as BuildKit words them', () => {
  test.each([
    ['ENV K=v K2="a b"', 'ENV K=v K2=a b'],
    ['LABEL l=1 m="x y"', 'LABEL l=1 m=x y'],
    ['ARG A=1', 'ARG A=1'],
    ['ARG A', 'ARG A'],
    ['ARG GLOBAL', 'ARG GLOBAL=g'],
    ['EXPOSE 80 443/udp 53-54', 'EXPOSE [443/udp 53/tcp 54/tcp 80/tcp]'],
    ['VOLUME /data /d2', 'VOLUME [/data /d2]'],
    ['VOLUME ["/a b"]', 'VOLUME [/a b]'],
    ['USER app:appgrp', 'USER app:appgrp'],
    ['SHELL ["/bin/sh","-ec"]', 'SHELL [/bin/sh -ec]'],
    ['STOPSIGNAL SIGINT', 'STOPSIGNAL SIGINT'],
    ['HEALTHCHECK --interval=5s CMD true', `HEALTHCHECK &{["CMD-SHELL" "true"] "5s" "0s" "0s" "0s" '\\x00'}`],
    ['HEALTHCHECK NONE', `HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" '\\x00'}`],
    ['CMD echo cmd', 'CMD ["/bin/sh" "-c" "echo cmd"]'],
    ['ENTRYPOINT ["/bin/echo", "x"]', 'ENTRYPOINT ["/bin/echo" "x"]'],
    ['MAINTAINER me <me@x>', 'MAINTAINER me <me@x>'],
  ])('%s', (text, expected) => {
    expect(created(apply(text))).toEqual([expected]);
  });

  test('ONBUILD leaves no entry', () => {
    const state = apply('ONBUILD RUN echo ob');
    expect(created(state)).toEqual([]);
    expect(state.config.OnBuild).toEqual(['RUN echo ob']);
  });
});

describe('variables', () => {
  test('all words of a line see the environment from before it', () => {
    expect(apply('ENV abc=hello\nENV abc=bye def=$abc').config.Env?.slice(1)).toEqual([
      'abc=bye',
      'def=hello',
    ]);
  });
  test('a later ARG wins over ENV in what instructions see, and never enters the config', () => {
    const state = apply('ENV V=env\nARG V=arg\nLABEL l=$V');
    expect(state.config.Labels).toEqual({ l: 'arg' });
    expect(state.config.Env).toContain('V=env');
  });
  test('a build argument beats the default, even when it is empty', () => {
    const given = apply('ARG A=1\nLABEL l=[$A]', undefined, { A: '' });
    expect(given.config.Labels).toEqual({ l: '[]' });
  });
  test('words of one ARG line see the earlier ones', () => {
    expect(apply('ARG a=1 b=$a c=${b}x\nLABEL l=$b$c').config.Labels).toEqual({ l: '11x' });
  });
  test('a default is not evaluated when it is overridden', () => {
    expect(apply('ARG A=${X:?needed}', undefined, { A: 'v' }).env.get('A')).toBe('v');
  });
  test('a child stage inherits ARG values, but its ENV starts from the config', () => {
    const parent = apply('ENV V=env\nARG V=arg\nARG W=w');
    const child = childState(parent);
    expect([child.env.get('V'), child.env.get('W')]).toEqual(['env', 'w']);
  });
});

describe('CMD and ENTRYPOINT', () => {
  const base: ImageConfig = {
    ...platform,
    config: { Cmd: ['base'], OnBuild: ['RUN x'] },
    rootfs: { type: 'layers', diff_ids: [] },
  };
  test('an ENTRYPOINT drops the CMD of the base', () => {
    expect(apply('ENTRYPOINT ["e"]', imageState(base, platform)).config.Cmd).toBeUndefined();
  });
  test('an ENTRYPOINT keeps the CMD of its own stage', () => {
    expect(apply('CMD ["c"]\nENTRYPOINT ["e"]').config.Cmd).toEqual(['c']);
  });
  test('the triggers of a base are not inherited', () => {
    expect(imageState(base, platform).config.OnBuild).toBeUndefined();
  });
  test('SHELL changes later shell forms only', () => {
    expect(apply('CMD a\nSHELL ["/bin/bash","-c"]\nCMD b').config.Cmd).toEqual(['/bin/bash', '-c', 'b']);
  });
});

describe('a config whose history does not match its layers', () => {
  const layer = `sha256:${'0'.repeat(64)}` as DiffId;
  const image = (history: ImageConfig['history'], count: number): ImageConfig => ({
    ...platform,
    rootfs: { type: 'layers', diff_ids: Array.from({ length: count }, () => layer) },
    ...(history ? { history } : {}),
  });
  const exported = (config: ImageConfig) =>
    toImageConfig(imageState(config, platform), { epoch: 1, labels: {} }).history ?? [];
  test('is completed from the bottom', () => {
    const history = exported(image([{ created_by: 'a' }], 3));
    expect(history.filter((entry) => !entry.empty_layer)).toHaveLength(3);
    expect(history.at(-1)?.created_by).toBe('a');
  });
  test('is cut when it claims too many', () => {
    expect(
      exported(image([{ created_by: 'a' }, { created_by: 'b' }], 1)).filter((entry) => !entry.empty_layer),
    ).toHaveLength(1);
  });
});

describe('Go formats', () => {
  test.each([
    ['a"b\\', '"a\\"b\\\\"'],
    ['\n\t\x01é\u200b', '"\\n\\t\\x01é\\u200b"'],
    ['😀', '"😀"'],
  ])('quotes %j', (text, expected) => expect(quoteGo(text)).toBe(expected));
  test('lists and runes', () => {
    expect([quoteGoList(['a', 'b c']), quoteGoRune(3), quoteGoRune(65), quoteGoRune(39)]).toEqual([
      '["a" "b c"]',
      "'\\x03'",
      "'A'",
      "'\\''",
    ]);
  });
  test.each([
    [0, '0s'],
    [1_500_000, '1.5ms'],
    [5e9, '5s'],
    [9e10, '1m30s'],
    [3.6e12, '1h0m0s'],
    [2500, '2.5µs'],
    [7, '7ns'],
  ])('%i nanoseconds are %s', (ns, text) => expect(formatGoDuration(ns)).toBe(text));
});
