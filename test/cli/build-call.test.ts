import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { cairn } from './support/test-host.ts';

/** Runs `build` with these words on a folder with this Dockerfile. */
async function call(dockerfile: string, ...argv: readonly string[]) {
  const cwd = scratchFolder();
  const context = join(cwd, 'context');
  mkdirSync(context);
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  return cairn({ root: join(cwd, 'store'), cwd }, 'build', ...argv, context);
}

const url = 'https://docs.docker.com/go/dockerfile/rule';
const described = `# an arg
ARG G=1
# base the base stage
FROM scratch AS base
# A the a arg
ARG A=\${G}x
ARG G
ARG B
# second does things
FROM base AS second
ARG C=3
RUN --mount=type=secret,id=foo,required=true --mount=type=ssh true
RUN --mount=type=secret,id=bar true
FROM --platform=$BUILDPLATFORM scratch
CMD ["a"]
`;

describe('O16: --check', () => {
  test('says what it found, with the lines around it, and exits with 1', async () => {
    const outcome = await call('FROM scratch as a\nMAINTAINER x\nENV a=b\nENV c=d\nCMD echo\n', '--check');
    expect(outcome).toMatchObject({ code: 1, stderr: '' });
    expect(outcome.stdout).toBe(`Check complete, 3 warnings have been found!

WARNING: FromAsCasing - ${url}/from-as-casing/
'as' and 'FROM' keywords' casing do not match
Dockerfile:1
--------------------
   1 | >>> FROM scratch as a
   2 |     MAINTAINER x
   3 |     ENV a=b
--------------------

WARNING: MaintainerDeprecated - ${url}/maintainer-deprecated/
Maintainer instruction is deprecated in favor of using label
Dockerfile:2
--------------------
   1 |     FROM scratch as a
   2 | >>> MAINTAINER x
   3 |     ENV a=b
   4 |     ENV c=d
--------------------

WARNING: JSONArgsRecommended - ${url}/json-args-recommended/
JSON arguments recommended for CMD to prevent unintended behavior related to OS signals
Dockerfile:5
--------------------
   3 |     ENV a=b
   4 |     ENV c=d
   5 | >>> CMD echo
   6 |     
--------------------
`);
  });

  test('is content with a good Dockerfile, and builds nothing', async () => {
    const outcome = await call('FROM scratch\nCOPY nosuch /\n', '--call', 'check');
    expect(outcome).toMatchObject({ code: 0, stdout: 'Check complete, no warnings found.\n', stderr: '' });
  });

  test('ignorestatus=true makes findings no failure, but not an error', async () => {
    const flags = ['--call', 'check,ignorestatus=true'];
    expect((await call('FROM scratch as a\n', ...flags)).code).toBe(0);
    const broken = await call('FROM scratch as a\nFOO\n', ...flags);
    expect(broken).toMatchObject({ code: 1, stdout: '' });
    expect(broken.stderr).toContain('error[UNKNOWN_INSTRUCTION]');
  });

  test('format=json gives findings, the file and the error', async () => {
    const outcome = await call('FROM scratch as a\n', '--call=check,format=json');
    expect(JSON.parse(outcome.stdout)).toEqual({
      warnings: [
        {
          ruleName: 'FromAsCasing',
          description: "The 'as' keyword should match the case of the 'from' keyword",
          url: `${url}/from-as-casing/`,
          detail: "'as' and 'FROM' keywords' casing do not match",
          location: { ranges: [{ start: { line: 1 }, end: { line: 1 } }] },
        },
      ],
      sources: [{ filename: 'Dockerfile', data: 'RlJPTSBzY3JhdGNoIGFzIGEK', language: 'Dockerfile' }],
    });
    const broken = JSON.parse((await call('FOO\n', '--call=check,format=json')).stdout);
    expect(broken.warnings).toBe(null);
    expect(broken.buildError.location.ranges[0].start.line).toBe(1);
  });

  test('looks into all stages, with --target into those that it needs', async () => {
    const dockerfile = 'FROM scratch AS a\nCMD x\nFROM scratch AS b\nCMD y\n';
    expect((await call(dockerfile, '--check')).stdout).toContain('2 warnings');
    expect((await call(dockerfile, '--check', '--target', 'A')).stdout).toContain('1 warning has');
  });

  test('A09: BUILDKIT_DOCKERFILE_CHECK takes the place of the directive', async () => {
    const dockerfile = '# check=error=true\nFROM scratch as a\n';
    expect((await call(dockerfile, '--check')).stderr).toContain('error[CHECK_FAILED]: lint violation found');
    const skip = ['--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=skip=all'];
    expect((await call(dockerfile, '--check', ...skip)).code).toBe(0);
    expect((await call(dockerfile, ...skip)).code).toBe(0);
    expect((await call(dockerfile)).stderr).toContain('error[CHECK_FAILED]');
    const error = ['--build-arg', 'BUILDKIT_DOCKERFILE_CHECK=error=true'];
    expect((await call('FROM scratch as a\n', ...error)).code).toBe(1);
  });

  test('passes over images that are not in the store', async () => {
    expect((await call('FROM nosuch AS a\nMAINTAINER x\n', '--check')).stdout).toContain('1 warning has');
  });
});

describe('O18: --call targets', () => {
  test('lists the stages with their descriptions and marks the default', async () => {
    const outcome = await call(described, '--call', 'targets');
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toBe(
      'TARGET    DESCRIPTION\nbase      the base stage\nsecond    does things\n(default) \n',
    );
    const named = await call('FROM scratch AS a\nFROM a AS b\n', '--call', 'targets');
    expect(named.stdout).toBe('TARGET      DESCRIPTION\na           \nb (default) \n');
  });

  test('as JSON has bases, platforms and lines', async () => {
    const { stdout } = await call(described, '--call', 'targets,format=json');
    const { targets, sources } = JSON.parse(stdout);
    expect(targets.map(({ location, ...rest }: { location: unknown }) => rest)).toEqual([
      { name: 'base', description: 'the base stage', base: 'scratch' },
      { name: 'second', description: 'does things', base: 'base' },
      { default: true, base: 'scratch', platform: '$BUILDPLATFORM' },
    ]);
    expect(targets[1].location).toEqual({ ranges: [{ start: { line: 10 }, end: { line: 10 } }] });
    expect(Buffer.from(sources[0], 'base64').toString()).toBe(described);
  });
});

describe('O17: --call outline', () => {
  test('shows what a target can be given', async () => {
    const outcome = await call(described, '--call', 'outline', '--target', 'second', '--build-arg', 'B=7');
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toBe(`TARGET:      second
DESCRIPTION: does things

BUILD ARG   VALUE   DESCRIPTION
G           1       
A           x       the a arg
B           7       
C           3       

SECRET   REQUIRED
foo      true
bar      

SSH       REQUIRED
default   

`);
  });

  test('as JSON leaves out what is empty', async () => {
    const { stdout } = await call('FROM scratch AS a\nARG X\n', '--call', 'outline,format=json');
    const { sources: _, ...outline } = JSON.parse(stdout);
    const line = { ranges: [{ start: { line: 2 }, end: { line: 2 } }] };
    expect(outline).toEqual({ name: 'a', args: [{ name: 'X', location: line }] });
    expect((await call('FROM scratch\n', '--call', 'outline')).stdout).toBe('');
  });
});

test.each([
  ['check,format=xml', 'invalid --call format "xml"'],
  ['check,foo=bar', 'invalid print field: foo=bar'],
  ['check,ignorestatus=x', 'invalid ignorestatus print value'],
])('O16: --call %s is refused', async (value, message) => {
  const outcome = await call('FROM scratch\n', '--call', value);
  expect(outcome).toMatchObject({ code: 2, stdout: '' });
  expect(outcome.stderr).toContain(message);
});
