import { describe, expect, test } from 'vitest';
import { parseInstruction } from '../../src/parser/index.ts';
import { failureOf, instructionsOf, only, parse } from './parse.ts';

describe('FROM (I01 to I06)', () => {
  test('an image, a platform and a stage name', () => {
    const [stage] = parse('# build compiles\nFROM --platform=$BUILDPLATFORM golang:1 aS Build').stages;
    expect(stage).toMatchObject({
      index: 0,
      name: 'build',
      description: 'compiles',
      from: {
        image: { text: 'golang:1' },
        platform: { text: '$BUILDPLATFORM' },
        alias: { text: 'Build' },
        as: { text: 'aS' },
      },
    });
  });
  test('each FROM starts a stage', () => {
    const { stages } = parse('FROM a AS x\nRUN 1\nfrom b\nRUN 2\nRUN 3\n');
    expect(stages.map(({ index, name, instructions }) => [index, name, instructions.length])).toEqual([
      [0, 'x', 1],
      [1, undefined, 2],
    ]);
  });
  test.each([
    ['FROM', 'ARGUMENT_MISSING'],
    ['FROM a b', 'ARGUMENT_MISSING'],
    ['FROM a AS', 'ARGUMENT_MISSING'],
    ['FROM a TO b', 'ARGUMENT_UNEXPECTED'],
    ['FROM a AS b # c', 'ARGUMENT_UNEXPECTED'],
    ['FROM a AS 1b', 'STAGE_NAME_INVALID'],
    ['FROM a AS b/c', 'STAGE_NAME_INVALID'],
    ['FROM --from=x a', 'UNKNOWN_FLAG'],
  ])('%s fails with %s', (text, code) => {
    expect(failureOf(() => parse(text)).code).toBe(code);
  });
});

describe('RUN (I08, I09, M01)', () => {
  test('the shell form is verbatim', () => {
    const text = `set -e; echo "$A" '\\n' \${B:-c} # d  |& e`;
    expect(only('run', `RUN   ${text}  `).command).toMatchObject({ form: 'shell', text });
  });
  test('the exec form has its arguments', () => {
    expect(only('run', 'RUN ["/bin/a", "-c", "b  c"]').command).toMatchObject({
      form: 'exec',
      argv: ['/bin/a', '-c', 'b  c'],
    });
  });
  test('an empty command is accepted, as in BuildKit', () => {
    expect(only('run', 'RUN').command).toMatchObject({ form: 'shell', text: '' });
  });
  test('flags are kept for the build', () => {
    const run = only(
      'run',
      'RUN --mount=type=cache,target=/a --mount=target=/b --network=none --security=insecure --device=v.com/gpu=0,required a',
    );
    expect(run.mounts.map((word) => word.text)).toEqual(['type=cache,target=/a', 'target=/b']);
    expect(run).toMatchObject({
      network: 'none',
      security: 'insecure',
      devices: [{ name: 'v.com/gpu=0', required: true }],
    });
  });
  test.each([
    ['RUN --network=bridge a', 'FLAG_VALUE_INVALID'],
    ['RUN --network=$N a', 'FLAG_VALUE_INVALID'],
    ['RUN --security=none a', 'FLAG_VALUE_INVALID'],
    ['RUN --mount a', 'FLAG_VALUE_MISSING'],
    ['RUN --mount=from=$x,target=/a a', 'VARIABLE_NOT_ALLOWED'],
    ["RUN '--mount=type=\"x' a", 'x'],
    ['RUN --mount=type=b\\"x a', 'MOUNT_INVALID'],
    ['RUN --device=a,b=c x', 'DEVICE_INVALID'],
    ['RUN --device=a,required=x x', 'DEVICE_INVALID'],
  ])('%s', (text, code) => {
    if (code === 'x') expect(only('run', text).mounts).toEqual([]);
    else expect(failureOf(() => instructionsOf(text)).code).toBe(code);
  });
});

describe('COPY and ADD (C01, C20, C25 to C37)', () => {
  test('sources, destination and flags', () => {
    const copy = only(
      'copy',
      'COPY --from=0 --chown=$U:g --chmod=u=rwX --link --parents --exclude=*.md --exclude=$x a b/ .',
    );
    expect(copy).toMatchObject({
      from: { text: '0' },
      chown: { text: '$U:g' },
      chmod: { text: 'u=rwX' },
      link: true,
      parents: true,
      destination: { text: '.' },
      isJson: false,
    });
    expect(copy.exclude.map((word) => word.text)).toEqual(['*.md', '$x']);
    const add = only('add', 'ADD --checksum=sha256:0 --keep-git-dir --unpack=false https://a/b.git#v1 /c');
    expect(add).toMatchObject({
      checksum: { text: 'sha256:0' },
      keepGitDir: true,
      unpack: false,
      link: false,
    });
    expect(only('add', 'ADD a b')).not.toHaveProperty('unpack');
  });
  test('an empty string flag is as good as none', () => {
    expect(only('copy', 'COPY --from= --chown= a b')).not.toHaveProperty('from');
  });
  test('the JSON form may have blanks and an empty destination', () => {
    const copy = only('copy', 'COPY ["a b", ""]');
    expect([copy.sources[0]!.text, copy.destination.text, copy.isJson]).toEqual(['a b', '', true]);
  });
  test.each([
    ['COPY', 'ARGUMENT_MISSING'],
    ['COPY a', 'ARGUMENT_MISSING'],
    ['ADD ["a"]', 'ARGUMENT_MISSING'],
    ['COPY --from=$x a b', 'VARIABLE_NOT_ALLOWED'],
    ['COPY --from=${x a b', 'VARIABLE_NOT_ALLOWED'],
  ])('%s fails with %s', (text, code) => {
    expect(failureOf(() => instructionsOf(text)).code).toBe(code);
  });
});

describe('CMD, ENTRYPOINT, SHELL (I14 to I18)', () => {
  test('both forms, and the empty ones', () => {
    expect(only('cmd', 'CMD echo $A').command).toMatchObject({ form: 'shell', text: 'echo $A' });
    expect(only('cmd', 'CMD').command).toMatchObject({ form: 'shell', text: '' });
    expect(only('entrypoint', 'ENTRYPOINT []').command).toMatchObject({ form: 'exec', argv: [] });
    expect(only('shell', 'SHELL ["a", "-c"]').argv).toEqual(['a', '-c']);
  });
  test.each([
    ['SHELL', 'ARGUMENT_MISSING'],
    ['SHELL []', 'ARGUMENT_MISSING'],
    ['SHELL a', 'JSON_ARRAY_REQUIRED'],
    ["SHELL ['a']", 'JSON_ARRAY_REQUIRED'],
  ])('%s fails with %s', (text, code) => {
    expect(failureOf(() => instructionsOf(text)).code).toBe(code);
  });
});

describe('the rest of the metadata (I22 to I35)', () => {
  test('EXPOSE sorts its words', () => {
    expect(only('expose', 'EXPOSE 90 443/udp $A 80-82').ports.map((word) => word.text)).toEqual([
      '$A',
      '443/udp',
      '80-82',
      '90',
    ]);
  });
  test('USER, WORKDIR, STOPSIGNAL and MAINTAINER take the rest of the line', () => {
    expect(only('user', 'USER  a b ').user.text).toBe('a b');
    expect(only('workdir', 'WORKDIR /a b').path.text).toBe('/a b');
    expect(only('stopsignal', 'STOPSIGNAL $S').signal.text).toBe('$S');
    expect(only('maintainer', 'MAINTAINER A <a@b>').author.text).toBe('A <a@b>');
  });
  test.each([
    'USER',
    'WORKDIR',
    'STOPSIGNAL',
    'MAINTAINER',
    'EXPOSE',
    'VOLUME',
    'VOLUME []',
    'VOLUME [" "]',
    'HEALTHCHECK',
    'ONBUILD',
    'LABEL',
  ])('%s lacks an argument', (text) => {
    expect(failureOf(() => instructionsOf(text)).code).toBe('ARGUMENT_MISSING');
  });
  test('HEALTHCHECK has durations in nanoseconds', () => {
    const check = only(
      'healthcheck',
      'HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0s --start-interval=250ms --retries=3 cmd curl "$A"',
    );
    expect(check).toMatchObject({
      test: { form: 'shell', text: 'curl "$A"' },
      intervalNs: 90e9,
      timeoutNs: 1.5e9,
      startPeriodNs: 0,
      startIntervalNs: 250e6,
      retries: 3,
    });
    expect(only('healthcheck', 'HEALTHCHECK CMD ["a", "b"]').test).toMatchObject({
      form: 'exec',
      argv: ['a', 'b'],
    });
    expect(only('healthcheck', 'HEALTHCHECK none').test).toBe('none');
    expect(only('healthcheck', 'HEALTHCHECK --interval=x NONE').test).toBe('none');
  });
  test.each([
    ['HEALTHCHECK NONE a', 'ARGUMENT_UNEXPECTED'],
    ['HEALTHCHECK CMD', 'ARGUMENT_MISSING'],
    ['HEALTHCHECK CMD []', 'ARGUMENT_MISSING'],
    ['HEALTHCHECK curl x', 'HEALTHCHECK_INVALID'],
    ['HEALTHCHECK --interval=1 CMD a', 'FLAG_VALUE_INVALID'],
    ['HEALTHCHECK --interval=1us CMD a', 'FLAG_VALUE_INVALID'],
    ['HEALTHCHECK --interval=-1s CMD a', 'FLAG_VALUE_INVALID'],
    ['HEALTHCHECK --retries=-1 CMD a', 'FLAG_VALUE_INVALID'],
    ['HEALTHCHECK --retries=x CMD a', 'FLAG_VALUE_INVALID'],
  ])('%s fails with %s', (text, code) => {
    expect(failureOf(() => instructionsOf(text)).code).toBe(code);
  });
});

describe('ONBUILD (X26, I33, I34)', () => {
  test('the trigger is parsed, and kept as text for the image', () => {
    const onbuild = only('onbuild', 'OnBuild \t copy --from=a \\\n b  c ');
    expect(onbuild.trigger).toBe('copy --from=a  b  c ');
    expect(onbuild.instruction).toMatchObject({ kind: 'copy', keyword: 'copy', from: { text: 'a' } });
  });
  test.each(['ONBUILD', 'FROM a', 'MAINTAINER b', 'onbuild RUN a'])('%s is no trigger', (trigger) => {
    const { code } = failureOf(() => instructionsOf(`ONBUILD ONBUILD ${trigger}`));
    expect(code).toBe('ONBUILD_TRIGGER_INVALID');
  });
  test('a trigger that will fail is kept with its problem, as in BuildKit', () => {
    const onbuild = only('onbuild', 'ONBUILD COPY a');
    expect(onbuild.trigger).toBe('COPY a');
    expect(onbuild.problem).toMatchObject({ code: 'ARGUMENT_MISSING' });
    expect(only('onbuild', 'ONBUILD FOO a').problem).toMatchObject({ code: 'UNKNOWN_INSTRUCTION' });
  });
  test('a stored trigger is parsed alone', () => {
    expect(parseInstruction('RUN cat <<E\na\nE', { file: 'base' })).toMatchObject({ kind: 'run' });
    expect(failureOf(() => parseInstruction('RUN a\nRUN b', { file: 'base' })).code).toBe(
      'ARGUMENT_UNEXPECTED',
    );
    expect(failureOf(() => parseInstruction('', { file: 'base' })).code).toBe('DOCKERFILE_EMPTY');
    expect(failureOf(() => parseInstruction('FROM a', { file: 'base' })).code).toBe(
      'ONBUILD_TRIGGER_INVALID',
    );
  });
});

test('each instruction keeps its keyword, source and comments', () => {
  expect(only('env', '# why\nEnv a=b \\\n c=d  ')).toMatchObject({
    keyword: 'Env',
    source: 'Env a=b  c=d',
    comments: ['why'],
  });
});

test('an unknown instruction is compared with the known ones', () => {
  try {
    parse('FROM a\nRUNN b');
  } catch (error) {
    expect(error).toMatchObject({ code: 'UNKNOWN_INSTRUCTION', help: 'did you mean RUN?' });
  }
});
