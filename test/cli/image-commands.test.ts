import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { makeImage } from './support/image-in-store.ts';
import { cairn } from './support/test-host.ts';

/** A store with two images: `app:1` (older, with labels) and `tool:latest`, `tool:2`. */
async function store(): Promise<{ root: string; app: string; tool: string }> {
  const root = scratchFolder();
  const labels = { Labels: { a: '<1>', b: '' }, Cmd: ['sh'], Env: ['PATH=/bin'] };
  const app = await makeImage(root, {
    tags: ['app:1'],
    content: 'app',
    created: '2026-11-24T14:00:00Z',
    config: labels,
  });
  const tool = await makeImage(root, { tags: ['tool:latest', 'tool:2'], content: 'a tool' });
  return { root, app: app.id, tool: tool.id };
}

const short = (id: string): string => id.slice(7, 19);

describe('images', () => {
  test('lists newest first, one row for each tag', async () => {
    const { root, app, tool } = await store();
    expect(await cairn({ root }, 'images')).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        'REPOSITORY   TAG       IMAGE ID       CREATED             SIZE',
        `tool         2         ${short(tool)}   About an hour ago   6B`,
        `tool         latest    ${short(tool)}   About an hour ago   6B`,
        `app          1         ${short(app)}   2 hours ago         3B`,
        '',
      ].join('\n'),
    });
  });

  test.each([
    [['app'], ['app:1']],
    [['tool:2'], ['tool:2']],
    [['docker.io/library/tool'], ['tool:2', 'tool:latest']],
    [['nosuch'], []],
    [['-f', 'reference=*:2'], ['tool:2']],
    [
      ['-f', 'reference=t*', '-f', 'reference=app'],
      ['tool:2', 'tool:latest', 'app:1'],
    ],
    [['-f', 'label=a'], ['app:1']],
    [['-f', 'label=a=<1>'], ['app:1']],
    [['-f', 'label=a=2'], []],
    [['-f', 'dangling=true'], []],
    [['-f', 'dangling=false', 'app'], ['app:1']],
    [['-f', 'before=tool'], ['app:1']],
    [
      ['-f', 'since=app:1'],
      ['tool:2', 'tool:latest'],
    ],
    [['-f', 'until=90m'], ['app:1']],
    [['-f', 'until=2026-11-24T14:30:00'], ['app:1']],
  ])('%j selects %j', async (argv, expected) => {
    const { root } = await store();
    const { stdout } = await cairn({ root }, 'images', '--format', '{{.Repository}}:{{.Tag}}', ...argv);
    expect(stdout.split('\n').slice(0, -1)).toEqual(expected);
  });

  test('-q prints one ID a line, --no-trunc the whole one', async () => {
    const { root, app } = await store();
    expect((await cairn({ root }, 'images', '-q', 'app')).stdout).toBe(`${short(app)}\n`);
    expect((await cairn({ root }, 'image', 'ls', '-q', '--no-trunc', 'app')).stdout).toBe(`${app}\n`);
    expect((await cairn({ root }, 'images', '-q', 'nosuch')).stdout).toBe('');
  });

  test('json has Docker’s keys, sorted', async () => {
    const { root, app } = await store();
    const { stdout } = await cairn({ root }, 'images', '--format', 'json', 'app');
    expect(stdout).toBe(
      `{"Containers":"N/A","CreatedAt":"2026-11-24 14:00:00 +0000 UTC","CreatedSince":"2 hours ago","Digest":"\\u003cnone\\u003e","ID":"${short(app)}","Repository":"app","SharedSize":"N/A","Size":"3B","Tag":"1","UniqueSize":"N/A","VirtualSize":"3B"}\n`,
    );
  });

  test('an untagged image has no name', async () => {
    const root = scratchFolder();
    const { id } = await makeImage(root, { tags: [], content: 'x' });
    const { stdout } = await cairn({ root }, 'images', '--digests');
    expect(stdout.split('\n')[1]).toBe(
      `<none>       <none>    <none>    ${short(id)}   About an hour ago   1B`,
    );
    expect((await cairn({ root }, 'images', '-q', '-f', 'dangling=true')).stdout).toBe(`${short(id)}\n`);
  });

  test.each([
    [['-f', 'foo=bar'], 1, "error[USAGE]: invalid filter 'foo'"],
    [['-f', 'dangling=x'], 1, "error[USAGE]: invalid filter 'dangling=[x]'"],
    [
      ['-f', 'dangling'],
      2,
      'invalid argument "dangling" for "-f, --filter" flag: bad format of filter (expected name=value)',
    ],
    [['-f', 'before=nosuch'], 1, 'error[IMAGE_NOT_FOUND]: No such image: nosuch:latest'],
    [
      ['--format', '{{.Foo}}'],
      1,
      `template parsing error: template: :1:2: executing "" at <.Foo>: can't evaluate field Foo in type *formatter.imageContext`,
    ],
    [['--format', '{{.ID'], 1, 'template parsing error: template: :1: unclosed action'],
    [['a', 'b'], 2, "cairn: 'cairn images' requires at most 1 argument"],
    [['--foo'], 2, 'unknown flag: --foo'],
  ])('%j fails with %i', async (argv, code, message) => {
    const { root } = await store();
    const outcome = await cairn({ root }, 'images', ...argv);
    expect(outcome.code).toBe(code);
    expect(outcome.stderr.split('\n')[0]).toBe(message);
    expect(outcome.stdout).toBe('');
  });

  test('a store that does not exist yet is empty, and is not made', async () => {
    const { stdout, code } = await cairn({ root: '/nonexistent/store' }, 'images');
    expect({ stdout, code }).toEqual({
      stdout: 'REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n',
      code: 0,
    });
  });
});

describe('history', () => {
  test('shows the newest entry with the ID, sizes of layers only', async () => {
    const { root, app } = await store();
    expect((await cairn({ root }, 'history', 'app:1')).stdout.split('\n')).toEqual([
      'IMAGE          CREATED       CREATED BY                  SIZE      COMMENT',
      `${short(app)}   2 hours ago   CMD ["sh"]                  0B        buildkit.dockerfile.v0`,
      '<missing>      2 hours ago   COPY content / # buildkit   3B        buildkit.dockerfile.v0',
      '',
    ]);
  });

  test.each([
    [['-q'], (id: string) => `${short(id)}\n<missing>\n`],
    [['--format', '{{.CreatedAt}} {{.Size}}'], () => '2026-11-24T14:00:00Z 0B\n2026-11-24T14:00:00Z 3B\n'],
    [['-H=false', '--format', '{{.Size}}'], () => '0\n3\n'],
    [['--no-trunc', '--format', '{{.ID}}'], (id: string) => `${id}\n<missing>\n`],
  ])('%j', async (argv, expected) => {
    const { root, app } = await store();
    expect((await cairn({ root }, 'history', ...argv, 'app:1')).stdout).toBe(expected(app));
  });

  test('a missing image is an error', async () => {
    const { root } = await store();
    const outcome = await cairn({ root }, 'history', 'nosuch');
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toContain('error[IMAGE_NOT_FOUND]: No such image: nosuch:latest');
  });
});

describe('inspect', () => {
  test('prints a JSON array with four blanks of indentation, and exits 1 for what is missing', async () => {
    const { root, app } = await store();
    const outcome = await cairn({ root }, 'inspect', 'app:1', 'nosuch');
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/^\[\n {4}\{\n {8}"Id": "sha256:/);
    const [document] = JSON.parse(outcome.stdout);
    expect(document).toMatchObject({
      Id: app,
      RepoTags: ['app:1'],
      Size: 3,
      Config: { Cmd: ['sh'], Entrypoint: null },
    });
    expect(outcome.stdout).toContain('"a": "\\u003c1\\u003e"');
    expect(outcome.stderr).toContain('error[IMAGE_NOT_FOUND]: No such object: nosuch');
  });

  test('nothing found is an empty array', async () => {
    const { root } = await store();
    expect(await cairn({ root }, 'image', 'inspect', 'nosuch')).toMatchObject({ code: 1, stdout: '[]\n' });
  });

  test.each([
    ['{{.Id}} {{.Os}}', (id: string) => `${id} linux\n`],
    ['{{.Config.Cmd}} {{.Config.Entrypoint}} {{json .Config.Entrypoint}}', () => '[sh] [] null\n'],
    ['{{.Config.Volumes}} {{.Config.Labels}}', () => 'map[] map[a:<1> b:]\n'],
    ['{{range .Config.Env}}{{println .}}{{end}}', () => 'PATH=/bin\n\n'],
    ['json', (id: string) => expect.stringContaining(`"Id":"${id}"`)],
  ])('-f %j', async (format, expected) => {
    const { root, app } = await store();
    expect((await cairn({ root }, 'inspect', '-f', format, 'app:1')).stdout).toEqual(expected(app));
  });

  test('syntax errors exit 64, unknown fields 1 after an empty line', async () => {
    const { root } = await store();
    expect(await cairn({ root }, 'inspect', '-f', '{{.Id', 'app:1')).toEqual({
      code: 64,
      stdout: '',
      stderr: 'template parsing error: template: :1: unclosed action\n',
    });
    expect(await cairn({ root }, 'inspect', '-f', '{{.Foo}}', 'app:1')).toEqual({
      code: 1,
      stdout: '\n',
      stderr:
        'template parsing error: template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"\n',
    });
  });

  test('other types find nothing, unknown types are named', async () => {
    const { root } = await store();
    const container = await cairn({ root }, 'inspect', '--type', 'container', 'app:1');
    expect(container).toMatchObject({ code: 1, stdout: '[]\n' });
    expect(container.stderr).toContain('No such container: app:1');
    expect((await cairn({ root }, 'inspect', '--type', 'foo', 'app:1')).stderr).toContain(
      'unknown type: "foo": must be one of',
    );
  });
});

describe('tag and rmi', () => {
  test('tag is silent, rmi names what it untags and deletes', async () => {
    const { root, app } = await store();
    expect(await cairn({ root }, 'tag', 'app:1', 'x/y:z')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await cairn({ root }, 'rmi', 'x/y:z')).toEqual({
      code: 0,
      stdout: 'Untagged: x/y:z\n',
      stderr: '',
    });
    const last = await cairn({ root }, 'rmi', 'app:1');
    expect(last.stdout).toMatch(
      new RegExp(`^Untagged: app:1\nDeleted: ${app}\nDeleted: sha256:[0-9a-f]{64}\n$`),
    );
  });

  test('an ID with several names needs force', async () => {
    const { root, tool } = await store();
    const refused = await cairn({ root }, 'rmi', short(tool));
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(`conflict: unable to delete ${short(tool)} (must be forced)`);
    const forced = await cairn({ root }, 'rmi', '-f', short(tool));
    expect(forced.stdout).toContain('Untagged: tool:2\nUntagged: tool:latest\nDeleted: ');
  });

  test('a missing image fails, but not with force; others are removed all the same', async () => {
    const { root } = await store();
    const outcome = await cairn({ root }, 'rmi', 'nosuch', 'tool:2');
    expect(outcome).toMatchObject({ code: 1, stdout: 'Untagged: tool:2\n' });
    expect(outcome.stderr).toContain('No such image: nosuch:latest');
    expect(await cairn({ root }, 'rmi', '-f', 'nosuch')).toMatchObject({ code: 0, stdout: '' });
  });

  test.each([
    [
      'BAD:z',
      'Error parsing reference: "BAD:z" is not a valid repository/tag: invalid reference format: repository name (library/BAD) must be lowercase',
    ],
    [`a@sha256:${'0'.repeat(64)}`, 'refusing to create a tag with a digest reference'],
  ])('tag refuses %s', async (target, message) => {
    const { root } = await store();
    const outcome = await cairn({ root }, 'tag', 'app:1', target);
    expect(outcome.code).toBe(1);
    expect(outcome.stderr.split('\n')[0]).toBe(`error[REFERENCE_INVALID]: ${message}`);
  });
});

describe('prune and df', () => {
  test('image prune asks, and takes only untagged images', async () => {
    const { root } = await store();
    const { id } = await makeImage(root, { tags: [], content: 'dangling' });
    const asked = await cairn({ root, stdin: 'n\n' }, 'image', 'prune');
    expect(asked).toMatchObject({
      code: 0,
      stdout: 'WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ',
    });
    const pruned = await cairn({ root, stdin: 'y\n' }, 'image', 'prune');
    expect(pruned.stdout).toContain(`Deleted Images:\ndeleted: ${id}\ndeleted: sha256:`);
    expect(pruned.stdout).toMatch(/\n\nTotal reclaimed space: [\d.]+kB\n$/);
    expect((await cairn({ root }, 'image', 'prune', '-f')).stdout).toBe('Total reclaimed space: 0B\n');
    expect((await cairn({ root }, 'images', '-q')).stdout.split('\n')).toHaveLength(4);
  });

  test('image prune -a with filters takes what matches', async () => {
    const { root } = await store();
    const { stdout } = await cairn(
      { root },
      'image',
      'prune',
      '-af',
      '--filter',
      'until=90m',
      '--filter',
      'label=a',
    );
    expect(stdout).toContain('untagged: app:1\n');
    expect(stdout).not.toContain('tool');
  });

  test('system df counts images and cache', async () => {
    const { root } = await store();
    const { stdout } = await cairn({ root }, 'system', 'df');
    const lines = stdout.split('\n');
    expect(lines[0]).toBe('TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE');
    expect(lines[1]).toMatch(/^Images {10}2 {9}0 {9}([\d.]+kB) {3,}\1 \(100%\)$/);
    expect(lines[4]).toBe('Build Cache     0         0         0B        0B');
    const verbose = await cairn({ root }, 'system', 'df', '-v');
    expect(verbose.stdout).toContain('Images space usage:\n\nREPOSITORY   TAG ');
  });

  test('builder prune and system prune report what they freed', async () => {
    const { root } = await store();
    expect((await cairn({ root }, 'builder', 'prune', '-f')).stdout).toBe('Total:\t0B\n');
    expect((await cairn({ root }, 'system', 'prune', '-f')).stdout).toBe('Total reclaimed space: 0B\n');
    const all = await cairn({ root }, 'system', 'prune', '-af');
    expect(all.stdout).toContain('Deleted Images:\nuntagged: ');
    expect((await cairn({ root }, 'images', '-q')).stdout).toBe('');
  });
});

describe('archives', () => {
  test('import prints the ID, and applies changes without adding anything', async () => {
    const root = scratchFolder();
    const tar = Buffer.alloc(1024);
    const outcome = await cairn(
      { root, stdin: tar },
      'import',
      '-c',
      'CMD ["sh"]',
      '-c',
      'ENV A=b',
      '-m',
      'mine',
      '-',
      'base:1',
    );
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const inspected = await cairn(
      { root },
      'inspect',
      '-f',
      '{{json .Config}} {{.Comment}} {{.Created}}',
      'base:1',
    );
    expect(inspected.stdout).toBe('{"Env":["A=b"],"Cmd":["sh"]} mine 1980-01-01T00:00:01Z\n');
  });

  test.each([
    [['/nope'], 'error[INPUT_UNREADABLE]: open /nope: no such file or directory'],
    [['-c', 'RUN x', '-'], 'error[USAGE]: RUN is not a valid change'],
    [['http://x/y.tar'], 'error[USAGE]: importing http://x/y.tar is not supported yet'],
  ])('import %j fails', async (argv, message) => {
    const outcome = await cairn({ root: scratchFolder(), stdin: Buffer.alloc(1024) }, 'import', ...argv);
    expect(outcome.code).toBeGreaterThan(0);
    expect(outcome.stderr.split('\n')[0]).toBe(message);
  });

  test('save writes a file that load reads, with the same IDs; two saves are equal', async () => {
    const { root, app } = await store();
    const archive = join(scratchFolder(), 'a.tar');
    expect(await cairn({ root }, 'save', '-o', archive, 'app:1', 'tool:2')).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    const first = readFileSync(archive);
    await cairn({ root }, 'save', '-o', archive, 'app:1', 'tool:2');
    expect(readFileSync(archive).equals(first)).toBe(true);
    const other = scratchFolder();
    const loaded = await cairn({ root: other }, 'load', '-i', archive);
    expect(loaded.stdout).toBe('Loaded image: app:1\nLoaded image: tool:2\n');
    expect((await cairn({ root: other }, 'images', '-q', '--no-trunc', 'app')).stdout).toBe(`${app}\n`);
    const again = await cairn({ root: scratchFolder(), stdin: first }, 'load', '-q');
    expect(again.stdout).toBe('Loaded image: app:1\nLoaded image: tool:2\n');
  });

  test.each([
    [['save', 'app:1'], ['stdout'], 'cowardly refusing to save to a terminal'],
    [
      ['save', '-o', '/nonexistent/x.tar', 'app:1'],
      [],
      'failed to save image: invalid output path: directory "/nonexistent" does not exist',
    ],
    [['save', '-o', 'x.tar', 'nosuch'], [], 'No such image: nosuch:latest'],
    [['load'], ['stdin'], 'requested load from stdin, but stdin is empty'],
    [['load', '-i', '/etc/passwd'], [], ''],
    [['load', '-i', '/nope'], [], 'open /nope: no such file or directory'],
  ] as const)('%j fails', async (argv, terminals, message) => {
    const { root } = await store();
    const outcome = await cairn({ root, terminals }, ...argv);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toContain(message);
  });
});
