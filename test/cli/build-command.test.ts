import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { buildFlags } from '../../src/cli/build/build-flags.ts';
import { buildOptions } from '../../src/cli/build/build-options.ts';
import { parseFlags } from '../../src/cli/flags/index.ts';
import { familiarName } from '../../src/oci/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { cairn, testHost } from './support/test-host.ts';

/** A build context with these files, and a store beside it. */
function project(files: Readonly<Record<string, string>>): { root: string; context: string } {
  const folder = scratchFolder();
  const context = join(folder, 'context');
  mkdirSync(context);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(context, name), text);
  return { root: join(folder, 'store'), context };
}

const simple = { Dockerfile: 'FROM scratch\nCOPY a /a\n', a: 'a' };

describe('build', () => {
  test('-q prints nothing but the image ID, and nothing goes to stderr', async () => {
    const { root, context } = project(simple);
    const outcome = await cairn({ root }, 'build', '-q', '-t', 'x:1', context);
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const listed = await cairn({ root }, 'images', '--no-trunc', '-q', 'x:1');
    expect(listed.stdout).toBe(outcome.stdout);
  });

  test('plain progress goes to stderr, stdout stays empty; the second build is cached', async () => {
    const { root, context } = project(simple);
    const first = await cairn({ root }, 'build', '-t', 'x', context);
    expect(first).toMatchObject({ code: 0, stdout: '' });
    expect(first.stderr).toMatch(/^#1 \[1\/1\] COPY a \/a\n#1 not cached: .*\n#1 DONE /);
    expect(first.stderr).toContain('naming to x:latest done\n');
    const second = await cairn({ root }, 'buildx', 'build', '-t', 'x', context);
    expect(second.stderr).toContain('#1 CACHED\n');
  });

  test('writes the image ID file without a line end, and the metadata file', async () => {
    const { root, context } = project(simple);
    const cwd = scratchFolder();
    const outcome = await cairn(
      { root, cwd },
      ...[
        'build',
        '-q',
        '-t',
        'x:1',
        '-t',
        'localhost:5000/y',
        '--iidfile',
        'iid',
        '--metadata-file',
        'meta.json',
        context,
      ],
    );
    const id = outcome.stdout.trim();
    expect(readFileSync(join(cwd, 'iid'), 'utf8')).toBe(id);
    const metadata = JSON.parse(readFileSync(join(cwd, 'meta.json'), 'utf8'));
    expect(metadata).toMatchObject({
      'containerimage.config.digest': id,
      'image.name': 'docker.io/library/x:1,localhost:5000/y:latest',
      'containerimage.descriptor': { mediaType: 'application/vnd.oci.image.manifest.v1+json' },
    });
    expect(metadata['containerimage.digest']).toBe(metadata['containerimage.descriptor'].digest);
  });

  test('a failed build leaves no stale image ID file', async () => {
    const { root, context } = project({ Dockerfile: 'FROM scratch\nCOPY nosuch /a\n' });
    const iid = join(scratchFolder(), 'iid');
    writeFileSync(iid, 'old');
    const outcome = await cairn({ root }, 'build', '--iidfile', iid, context);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toContain('error[COPY_SOURCE_NOT_FOUND]: ');
    expect(existsSync(iid)).toBe(false);
  });

  test('takes the Dockerfile from elsewhere, from standard input, or the whole build from there', async () => {
    const { root, context } = project(simple);
    const cwd = scratchFolder();
    writeFileSync(join(cwd, 'Other'), 'FROM scratch\nLABEL other=1\n');
    const label = async (name: string): Promise<string> =>
      (await cairn({ root }, 'inspect', '-f', '{{json .Config.Labels}}', name)).stdout;
    expect((await cairn({ root }, 'build', '-t', 'f', '-f', join(cwd, 'Other'), context)).code).toBe(0);
    expect(await label('f')).toBe('{"other":"1"}\n');
    const stdin = 'FROM scratch\nLABEL stdin=1\n';
    expect((await cairn({ root, stdin }, 'build', '-t', 'i', '-f', '-', context)).code).toBe(0);
    expect(await label('i')).toBe('{"stdin":"1"}\n');
    expect((await cairn({ root, stdin }, 'build', '-t', 'c', '-')).code).toBe(0);
    expect(await label('c')).toBe('{"stdin":"1"}\n');
  });

  test('warnings are shown after a build that works, but not with -q', async () => {
    const { root, context } = project({ Dockerfile: 'FROM scratch\nCOPY a \\\n\n /a\n', a: 'a' });
    const loud = await cairn({ root }, 'build', context);
    expect(loud.code).toBe(0);
    expect(loud.stderr).toContain('warning[NoEmptyContinuation]: ');
    expect((await cairn({ root }, 'build', '-q', context)).stderr).toBe('');
  });

  test.each([
    [['/nope'], 1, 'error[CONTEXT_NOT_FOUND]: unable to prepare context: path "/nope" not found'],
    [[], 2, "'cairn build' requires 1 argument"],
    [['a', 'b'], 2, "'cairn build' requires 1 argument"],
    [['-t', 'BAD', '.'], 1, 'error[REFERENCE_INVALID]: "BAD" is not a valid repository/tag'],
    [['--push', '.'], 2, 'tag is needed when pushing to registry'],
    [['--annotation', 'a', '.'], 2, 'error[ANNOTATION_INVALID]: invalid annotation "a": it has no "="'],
    [['-o', 'type=nosuch', '.'], 2, 'error[OUTPUT_INVALID]: --output type=nosuch: exporter "nosuch" could'],
    [['--platform', 'linux/a/b/c', '.'], 2, '"linux/a/b/c" is not a platform'],
    [['--call', 'nosuch', '.'], 2, 'invalid --call method "nosuch"'],
    [['--iidfile', 'x', '-o', 'y', '.'], 2, 'local and tar exporters are incompatible with image ID file'],
    [['--progress', 'fancy', '.'], 2, 'invalid progress mode "fancy"'],
    [['--network', 'bridge', '.'], 2, 'network mode "bridge" is not supported'],
    [['--sandbox', 'docker', '.'], 2, 'unknown sandbox "docker"'],
    [['--jobs', '0', '.'], 2, '--jobs must be at least 1'],
    [['--add-host', 'x', '.'], 2, 'bad format for add-host: "x"'],
    [['--label', '=x', '.'], 2, 'invalid label "=x"'],
    [['--timestamp', 'now', '.'], 2, 'invalid timestamp "now"'],
    [['--taget', 'x', '.'], 2, 'unknown flag: --taget\nDid you mean --target?'],
    [['-', '-f', '-'], 2, 'cannot use stdin for both build context and dockerfile'],
    [['https://x/y.git?z=1'], 1, 'unexpected query "z"'],
    [['.', '--build-context', 'x'], 1, 'must have the form NAME=SOURCE'],
  ])('%j exits with %i', async (argv, code, message) => {
    const { root } = project({});
    const outcome = await cairn({ root }, 'build', ...argv);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toContain(message);
  });

  test('compressed data on standard input that is no tar is no Dockerfile either', async () => {
    const { root } = project({});
    const outcome = await cairn({ root, stdin: Buffer.from('1f8b0800', 'hex') }, 'build', '-');
    expect(outcome).toMatchObject({ code: 1 });
    expect(outcome.stderr).toContain('"standard input" is gzip data, but not a compressed tar');
  });
});

describe('flags of build', () => {
  const parse = (argv: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    buildOptions(parseFlags(argv, buildFlags).flags, testHost({ root: '/nonexistent', env }));

  test('reach the builder as options', () => {
    const options = parse(
      [
        ...['-t', 'a', '-t', 'b:2', '--build-arg', 'X=1=2', '--build-arg', 'FROMENV', '--build-arg', 'UNSET'],
        ...[
          '--label',
          'a=b=c',
          '--label',
          'lone',
          '--target',
          'base',
          '--no-cache',
          '--no-cache-filter',
          's1,s2',
        ],
        ...['--network', 'none', '--add-host', 'h:10.0.0.1', '--add-host=v6=[::1]', '--shm-size', '1m'],
        ...['--sandbox', 'builtin', '--timestamp', '86400', '--jobs', '3', '--context-modes', 'exact'],
        ...['--allow', 'network.host', '--platform', 'linux/amd64'],
      ],
      { FROMENV: 'yes' },
    );
    expect(options.tags?.map(familiarName)).toEqual(['a:latest', 'b:2']);
    expect(options).toMatchObject({
      buildArgs: { X: '1=2', FROMENV: 'yes' },
      labels: { a: 'b=c', lone: '' },
      target: 'base',
      noCache: true,
      noCacheFilter: ['s1', 's2'],
      network: 'none',
      extraHosts: [
        ['h', '10.0.0.1'],
        ['v6', '::1'],
      ],
      shmSizeBytes: 1048576,
      sandbox: 'builtin',
      timestamp: { kind: 'epoch', seconds: 86400 },
      jobs: 3,
      contextModes: 'exact',
      allow: ['network.host'],
      platforms: [{ os: 'linux', architecture: 'amd64' }],
    });
    expect(Object.keys(options.buildArgs ?? {})).not.toContain('UNSET');
  });

  test('SOURCE_DATE_EPOCH and CAIRN_SANDBOX come from the environment, flags win', () => {
    const env = { SOURCE_DATE_EPOCH: '5', CAIRN_SANDBOX: 'runc' };
    expect(parse([], env)).toMatchObject({ buildArgs: { SOURCE_DATE_EPOCH: '5' }, sandbox: 'runc' });
    expect(parse(['--build-arg', 'SOURCE_DATE_EPOCH=6', '--sandbox', 'crun'], env)).toMatchObject({
      buildArgs: { SOURCE_DATE_EPOCH: '6' },
      sandbox: 'crun',
    });
  });

  test('what Docker takes and BuildKit ignores is taken and ignored', () => {
    const argv = [
      '--rm',
      '--force-rm=false',
      '--compress',
      '-m',
      '1g',
      '--cpu-shares=2',
      '--isolation',
      'default',
      '--security-opt',
      'x',
      '--load',
      '--provenance=false',
      '--sbom=false',
      '--call',
      'build',
      '--cache-from',
      'x',
      '--output',
      'type=docker',
      '--pull',
    ];
    expect(() => parse(argv)).not.toThrow();
  });
});

test.each([
  [['frobnicate'], 'cairn: unknown command: cairn frobnicate\n'],
  [['biuld', '.'], "Did you mean 'cairn build'?"],
  [['image', 'lsit'], "Did you mean 'cairn image list'?"],
  [['ps'], 'containers are not kept'],
  [['commit', 'x'], 'write the change as a Dockerfile'],
])('%j is no command', async (argv, message) => {
  const outcome = await cairn({ root: '/nonexistent' }, ...argv);
  expect(outcome).toMatchObject({ code: 2, stdout: '' });
  expect(outcome.stderr).toContain(message);
});

test.each([
  [['--help'], 'Usage:  cairn [OPTIONS] COMMAND\n'],
  [[], 'Usage:  cairn [OPTIONS] COMMAND\n'],
  [['help', 'build'], 'Usage:  cairn build [OPTIONS] PATH | URL | -\n'],
  [['image'], 'Usage:  cairn image COMMAND\n'],
  [['image', 'ls', '--help'], 'Aliases:\n  cairn image ls, cairn images\n'],
  [['--version'], 'cairn version 0.1.0\n'],
  [['version', '-f', '{{.Server.Version}} {{.Client.Version}}'], '0.1.0 0.1.0\n'],
])('%j prints help or version on stdout', async (argv, text) => {
  const outcome = await cairn({ root: '/nonexistent' }, ...argv);
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  expect(outcome.stdout).toContain(text);
});

test('version formats with a wrong field fail as Docker’s do', async () => {
  expect(await cairn({ root: '/' }, 'version', '-f', '{{.Foo}}')).toMatchObject({
    code: 1,
    stdout: '\n',
    stderr: `template: version:1:2: executing "version" at <.Foo>: can't evaluate field Foo in type system.versionInfo\n`,
  });
  expect(await cairn({ root: '/' }, 'version', '-f', '{{.Foo')).toMatchObject({
    code: 64,
    stderr: 'template parsing error: template: version:1: unclosed action\n',
  });
});

test('the version is that of package.json', async () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect((await cairn({ root: '/' }, 'version', '-f', '{{.Client.Version}}')).stdout).toBe(
    `${manifest.version}\n`,
  );
});
