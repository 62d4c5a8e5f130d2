import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { commandLine } from '../../src/cli/run/command-line.ts';
import { containerEnv, readEnvFile } from '../../src/cli/run/container-env.ts';
import { parseMount, parseTmpfs, parseVolume, volumeStandIns } from '../../src/cli/run/container-mounts.ts';
import { openStore } from '../../src/store/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { fileEntry, makeImage } from './support/image-in-store.ts';
import { cairn } from './support/test-host.ts';

const both = { Entrypoint: ['/entry', '-e'], Cmd: ['a', 'b'] };

test.each([
  ['image’s own', both, [], undefined, ['/entry', '-e', 'a', 'b']],
  ['arguments replace CMD', both, ['x'], undefined, ['/entry', '-e', 'x']],
  ['a new entrypoint drops CMD', both, [], '/new', ['/new']],
  ['a new entrypoint with arguments', both, ['x', 'y'], '/new', ['/new', 'x', 'y']],
  ['an empty entrypoint clears both', both, ['sh'], '', ['sh']],
  ['only CMD', { Cmd: ['sh'] }, [], undefined, ['sh']],
  ['only ENTRYPOINT', { Entrypoint: ['e'] }, [], undefined, ['e']],
] as const)('command line: %s', (_, config, args, entrypoint, expected) => {
  expect(commandLine(config, args, entrypoint)).toEqual(expected);
});

test.each([
  ['an image without command', {}, undefined],
  ['an empty entrypoint without arguments', both, ''],
])('%s has nothing to run', (_, config, entrypoint) => {
  expect(() => commandLine(config, [], entrypoint)).toThrow('no command specified');
});

describe('variables of a container', () => {
  const base = {
    image: [] as string[],
    user: [] as string[],
    hostname: 'h',
    terminal: false,
    home: '/root',
    host: { SET: 'host' },
  };
  const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  test.each([
    ['the defaults', {}, [path, 'HOSTNAME=h', 'HOME=/root']],
    ['a terminal', { terminal: true }, [path, 'HOSTNAME=h', 'TERM=xterm', 'HOME=/root']],
    [
      'the image’s, PATH in place',
      { image: ['A=1', 'PATH=/bin'] },
      ['PATH=/bin', 'HOSTNAME=h', 'A=1', 'HOME=/root'],
    ],
    [
      'the user’s before the image’s',
      { image: ['A=1', 'B=2'], user: ['C=3', 'A=x'] },
      [path, 'HOSTNAME=h', 'C=3', 'A=x', 'B=2', 'HOME=/root'],
    ],
    ['a name from the host', { user: ['SET'] }, [path, 'HOSTNAME=h', 'SET=host', 'HOME=/root']],
    ['a name that the host lacks goes', { image: ['A=1'], user: ['A', 'HOSTNAME'] }, [path, 'HOME=/root']],
    ['HOME of the user’s', { user: ['HOME=/h'] }, [path, 'HOSTNAME=h', 'HOME=/h']],
    [
      'empty values and = in values',
      { user: ['E=', 'F=a=b'] },
      [path, 'HOSTNAME=h', 'E=', 'F=a=b', 'HOME=/root'],
    ],
  ])('%s', (_, inputs, expected) => {
    expect(containerEnv({ ...base, ...inputs })).toEqual(expected);
  });

  test('an environment file is taken literally', () => {
    const file = join(scratchFolder(), 'env');
    writeFileSync(file, '\ufeff# comment\nA=1 \n\n  B="quoted" # no comment\r\nC\n');
    expect(readEnvFile(file)).toEqual(['A=1 ', 'B="quoted" # no comment', 'C']);
  });

  test.each([
    ['=x\n', "1: no variable name on line '=x'"],
    ['ok=1\nA B=1\n', "2: variable 'A B' contains whitespaces"],
  ])('a broken file names the line: %j', (text, message) => {
    const file = join(scratchFolder(), 'env');
    writeFileSync(file, text);
    expect(() => readEnvFile(file)).toThrow(`${file}:${message}`);
    expect(() => readEnvFile('/nope')).toThrow('open /nope: no such file or directory');
  });
});

describe('mounts', () => {
  test('-v binds, makes a missing folder of the host, and takes relative paths', () => {
    const folder = scratchFolder();
    expect(parseVolume(`${folder}/new:/data/:ro`, '/')).toEqual({
      kind: 'bind',
      source: `${folder}/new`,
      target: '/data',
      readOnly: true,
    });
    expect(existsSync(`${folder}/new`)).toBe(true);
    expect(parseVolume('./new:/d', folder)).toMatchObject({ source: `${folder}/new`, readOnly: false });
    expect(parseVolume('/data', '/')).toEqual({ anonymous: '/data' });
  });

  test.each([
    ['name:/data', 'the named volume "name" is not supported yet'],
    ['/tmp:rel', "invalid mount path: 'rel' mount path must be absolute"],
    ['/tmp:/d:bad', "invalid volume specification: '/tmp:/d:bad': invalid mode: bad"],
    ['/tmp:/', "destination can't be '/'"],
    ['a:b:c:d', "invalid volume specification: 'a:b:c:d'"],
  ])('-v %s is refused', (text, message) => {
    expect(() => parseVolume(text, '/')).toThrow(message);
  });

  test.each([
    ['type=bind,src=/tmp,dst=/x', { kind: 'bind', source: '/tmp', target: '/x', readOnly: false }],
    [
      'type=bind,source=/tmp,target=/x,readonly',
      { kind: 'bind', source: '/tmp', target: '/x', readOnly: true },
    ],
    [
      'type=bind,source=/tmp,destination=/x,ro=false',
      { kind: 'bind', source: '/tmp', target: '/x', readOnly: false },
    ],
    [
      'type=tmpfs,dst=/x,tmpfs-size=1m,tmpfs-mode=1770',
      { kind: 'tmpfs', target: '/x', sizeBytes: 1048576, mode: 0o1770 },
    ],
  ])('--mount %s', (text, mount) => {
    expect(parseMount(text)).toEqual(mount);
  });

  test.each([
    ['foo', `invalid argument "foo" for "--mount" flag: invalid field 'foo' must be a key=value pair`],
    ['type=bind,src=/tmp', 'target is required'],
    ['type=bind,src=/nope,dst=/x', 'bind source path does not exist: /nope'],
    ['type=bind,src=/tmp,dst=/x,magic=1', "unknown option 'magic'"],
    ['type=volume,src=v,dst=/x', '--mount type=volume is not supported yet'],
    ['src=v,dst=/x', '--mount type=volume is not supported yet'],
  ])('--mount %s is refused', (text, message) => {
    expect(() => parseMount(text)).toThrow(message);
  });

  test('--tmpfs takes size and mode', () => {
    expect(parseTmpfs('/t:size=64k,mode=700,noexec')).toEqual({
      kind: 'tmpfs',
      target: '/t',
      sizeBytes: 65536,
      mode: 0o700,
    });
    expect(() => parseTmpfs('/t:size=big')).toThrow("invalid tmpfs size: 'big'");
  });

  test('volumes of the image get a folder only where the image has none', async () => {
    const root = scratchFolder();
    const store = openStore({ root });
    try {
      const { diffId } = await store.layers.write([fileEntry('data', 'x')]);
      const scratch = store.scratch();
      const mounts = volumeStandIns(['/data', '/new', '/new/', '/taken', '/'], {
        tree: store.layers.tree([diffId]),
        scratch,
        taken: new Set(['/taken']),
      });
      expect(mounts).toEqual([
        { kind: 'bind', source: `${scratch}/volume-0`, target: '/new', readOnly: false },
      ]);
      expect(existsSync(`${scratch}/volume-0`)).toBe(true);
    } finally {
      store.close();
    }
  });
});

describe('what run refuses before anything starts', () => {
  test.each([
    [['--foo', 'app:1'], 125, 'unknown flag: --foo'],
    [[], 125, "'cairn run' requires at least 1 argument"],
    [
      ['nosuch:x'],
      125,
      "Unable to find image 'nosuch:x' locally\nerror[IMAGE_NOT_FOUND]: No such image: nosuch:x",
    ],
    [['--pull', 'never', 'nosuch'], 125, 'error[IMAGE_NOT_FOUND]: No such image: nosuch:latest'],
    [
      ['--pull', 'foo', 'app:1'],
      125,
      `invalid pull option: 'foo': must be one of "always", "missing" or "never"`,
    ],
    [['x/y/Z'], 125, 'invalid reference format: repository name (x/y/Z) must be lowercase'],
    [['-d', 'app:1'], 125, '--detach is not supported yet'],
    [['-p', '80:80', 'app:1'], 125, '--publish is not supported yet'],
    [['--name', '!', 'app:1'], 125, 'Invalid container name (!), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed'],
    [['--network', 'foo', 'app:1', 'x'], 125, 'network foo not found'],
    [
      ['-w', 'rel', 'app:1', 'x'],
      125,
      "the working directory 'rel' is invalid, it needs to be an absolute path",
    ],
    [['-u', 'nosuch', 'app:1', 'x'], 125, 'unable to find user nosuch: no matching entries in passwd file'],
    [['--env-file', '/nope', 'app:1', 'x'], 125, 'open /nope: no such file or directory'],
    [['-e', '=x', 'app:1', 'x'], 125, 'invalid environment variable: "=x"'],
    [['app:1'], 125, 'no command specified'],
    [['-it', 'app:1', 'x'], 1, 'the input device is not a TTY'],
    [['--sandbox', 'foo', 'app:1', 'x'], 125, 'unknown sandbox "foo"'],
  ])('%j exits with %i', async (argv, code, message) => {
    const root = scratchFolder();
    await makeImage(root, { tags: ['app:1'], content: 'x' });
    const outcome = await cairn({ root }, 'run', ...argv);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toContain(message);
  });

  test('a container ID file that exists stays as it is', async () => {
    const root = scratchFolder();
    await makeImage(root, { tags: ['app:1'], content: 'x' });
    const cid = join(scratchFolder(), 'cid');
    writeFileSync(cid, 'old');
    const outcome = await cairn({ root }, 'run', '--cidfile', cid, 'app:1', 'x');
    expect(outcome.code).toBe(125);
    expect(outcome.stderr).toContain('container ID file found');
    expect(readFileSync(cid, 'utf8')).toBe('old');
  });
});
