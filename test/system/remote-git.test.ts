import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type FetchGitOptions, fetchGit } from '../../src/builder/remote/fetch-git.ts';
import { HeldEntries } from '../../src/builder/remote/held-entries.ts';
import { parseSourceUrl } from '../../src/builder/remote/source-url.ts';
import { type GitServer, runGit, serveGit } from '../support/git-server.ts';
import { scratchFolder } from '../support/scratch.ts';

const hasGit = (() => {
  try {
    execFileSync('git', ['http-backend'], { stdio: 'ignore', env: { ...process.env, REQUEST_METHOD: 'x' } });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
})();

/** Repositories `top.git` (with submodule `sub.git`), their commits, and a work tree to change them. */
function makeRepositories(root: string) {
  const sub = join(root, 'work', 'sub');
  const top = join(root, 'work', 'top');
  for (const folder of [sub, top]) {
    mkdirSync(folder, { recursive: true });
    runGit(folder, 'init', '-q', '-b', 'main');
  }
  writeFileSync(join(sub, 's.txt'), 'sub\n');
  runGit(sub, 'add', '.');
  runGit(sub, 'commit', '-qm', 'sub');
  runGit(root, 'clone', '-q', '--bare', sub, 'sub.git');
  mkdirSync(join(top, 'dir', 'deep'), { recursive: true });
  writeFileSync(join(top, 'a.txt'), 'one\n');
  writeFileSync(join(top, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(top, 'dir', 'deep', 'd.txt'), 'd\n');
  writeFileSync(join(top, '.hidden'), 'h\n');
  symlinkSync('a.txt', join(top, 'link'));
  symlinkSync('/etc', join(top, 'dir', 'out'));
  runGit(top, 'add', '.');
  runGit(top, 'commit', '-qm', 'one');
  const first = runGit(top, 'rev-parse', 'HEAD');
  runGit(top, 'tag', '-a', 'v1', '-m', 'v1');
  runGit(top, 'tag', 'light');
  writeFileSync(join(top, 'a.txt'), 'two\n');
  runGit(top, 'commit', '-qam', 'two');
  const second = runGit(top, 'rev-parse', 'HEAD');
  runGit(top, 'branch', 'feature/x');
  runGit(top, 'branch', 'same');
  runGit(top, 'tag', 'same', 'light');
  runGit(top, 'submodule', '--quiet', 'add', join(root, 'sub.git'), 'mod');
  runGit(top, 'config', '-f', '.gitmodules', 'submodule.mod.url', '../sub.git');
  runGit(top, 'add', '.');
  runGit(top, 'commit', '-qm', 'three');
  const third = runGit(top, 'rev-parse', 'HEAD');
  runGit(root, 'clone', '-q', '--bare', top, 'top.git');
  return { top, first, second, third, tag: runGit(top, 'rev-parse', 'v1') };
}

const posix = (mode: number) => (mode & 0o7777).toString(8);

/** Every path with its type, mode and content. */
function listing(folder: string): Record<string, string> {
  const out: Record<string, string> = {};
  const visit = (path: string, name: string) => {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) out[name] = 'link';
    else if (!stat.isDirectory()) out[name] = `${posix(stat.mode)} ${readFileSync(path).toString('base64')}`;
    else {
      if (name !== '') out[name] = `${posix(stat.mode)} dir`;
      for (const child of readdirSync(path))
        visit(join(path, child), name === '' ? child : `${name}/${child}`);
    }
  };
  visit(folder, '');
  return out;
}

describe.skipIf(!hasGit)('fetchGit (needs git with http-backend)', () => {
  let server: GitServer;
  let root: string;
  let repositories: ReturnType<typeof makeRepositories>;

  beforeAll(async () => {
    root = execFileSync('mktemp', ['-d', '-p', existsSync('/dev/shm') ? '/dev/shm' : '/tmp'], {
      encoding: 'utf8',
    }).trim();
    repositories = makeRepositories(root);
    server = await serveGit(root);
  });
  afterAll(async () => {
    await server.close();
    rmSync(root, { recursive: true });
  });

  function fetcher(env: Record<string, string> = {}) {
    const cacheDir = join(scratchFolder(), 'git');
    return {
      cacheDir,
      fetch: (text: string, extra: Partial<FetchGitOptions> = {}) => {
        const source = parseSourceUrl(text.replace('{}', server.url), { forContext: true });
        if (source.kind !== 'git') throw new Error(`not a git URL: ${text}`);
        const held = new HeldEntries();
        onTestFinished(() => held.release());
        return fetchGit(source, {
          cacheDir,
          scratch: scratchFolder(),
          held,
          env: { PATH: process.env.PATH, ...env },
          signal: new AbortController().signal,
          now: () => 1_000_000_000_000,
          ...extra,
        });
      },
    };
  }

  test.each<[string, 'first' | 'second' | 'third']>([
    ['{}/top.git', 'third'],
    ['{}/top.git#main', 'third'],
    ['{}/top.git#refs/heads/main', 'third'],
    ['{}/top.git#heads/main', 'third'],
    ['{}/top.git#feature/x', 'second'],
    ['{}/top.git#v1', 'first'],
    ['{}/top.git#refs/tags/v1', 'first'],
    ['{}/top.git#light', 'first'],
    ['{}/top.git?tag=v1', 'first'],
    ['{}/top.git?branch=same', 'second'],
    ['{}/top.git?tag=same', 'first'],
    ['{}/top.git#same', 'second'],
  ])('checks %s out at the %s commit', async (url, commit) => {
    const fetched = await fetcher().fetch(url);
    expect(fetched.commit).toBe(repositories[commit]);
    expect(fetched.commitTime).toBe(1_700_000_000);
    expect(readFileSync(join(fetched.path, 'a.txt'), 'utf8')).toBe(commit === 'first' ? 'one\n' : 'two\n');
  });

  test.each(['first', 'second', 'third'] as const)('fetches the %s commit by its ID', async (name) => {
    const fetched = await fetcher().fetch(`{}/top.git#${repositories[name]}`);
    expect(fetched.commit).toBe(repositories[name]);
  });

  test('fetches an annotated tag by its ID', async () => {
    expect((await fetcher().fetch(`{}/top.git#${repositories.tag}`)).commit).toBe(repositories.first);
  });

  test('gives files the modes 0644 and 0755 whatever the umask', async () => {
    const before = process.umask(0o077);
    onTestFinished(() => void process.umask(before));
    const { path } = await fetcher().fetch('{}/top.git#v1');
    expect(listing(path)).toEqual({
      '.hidden': `644 ${btoa('h\n')}`,
      'a.txt': `644 ${btoa('one\n')}`,
      dir: '755 dir',
      'dir/deep': '755 dir',
      'dir/deep/d.txt': `644 ${btoa('d\n')}`,
      'dir/out': 'link',
      link: 'link',
      'run.sh': `755 ${btoa('#!/bin/sh\n')}`,
    });
  });

  test('brings submodules along, without anything of git', async () => {
    const { path } = await fetcher().fetch('{}/top.git');
    expect(readFileSync(join(path, 'mod/s.txt'), 'utf8')).toBe('sub\n');
    expect(Object.keys(listing(path)).filter((name) => /(^|\/)\.git(\/|$)/.test(name))).toEqual([]);
  });

  test('leaves submodules out when told so', async () => {
    const { path } = await fetcher().fetch('{}/top.git?submodules=false');
    expect(readdirSync(join(path, 'mod'))).toEqual([]);
  });

  test('takes a subdirectory as the root', async () => {
    const { path } = await fetcher().fetch('{}/top.git#main:dir/deep');
    expect(readdirSync(path)).toEqual(['d.txt']);
  });

  test.each(['nowhere', 'a.txt', 'link', 'dir/out', 'dir/out/ssh'])(
    'refuses the subdirectory %s',
    async (subdir) => {
      await expect(fetcher().fetch(`{}/top.git#main:${subdir}`)).rejects.toMatchObject({
        code: 'GIT_SUBDIR_INVALID',
      });
    },
  );

  test.each([
    ['{}/top.git#nope', 'GIT_REF_NOT_FOUND'],
    ['{}/top.git#ma*', 'GIT_REF_NOT_FOUND'],
    ['{}/top.git#--upload-pack=x', 'GIT_REF_NOT_FOUND'],
    ['{}/top.git#0123456789012345678901234567890123456789', 'GIT_REF_NOT_FOUND'],
    ['{}/nope.git', 'GIT_FAILED'],
    ['{}/top.git?checksum=xyz', 'CHECKSUM_INVALID'],
    ['{}/top.git?fetch-by-commit', 'CHECKSUM_INVALID'],
    ['{}/top.git?fetch-by-commit&checksum=abc', 'CHECKSUM_INVALID'],
    ['{}/top.git?checksum=abc', 'CHECKSUM_MISMATCH'],
    ['http://127.0.0.1:1/x.git', 'GIT_FAILED'],
  ])('refuses %s with %s', async (url, code) => {
    await expect(fetcher().fetch(url)).rejects.toMatchObject({ code });
  });

  test('advises to write a short commit ID in full', async () => {
    await expect(fetcher().fetch(`{}/top.git#${repositories.first.slice(0, 10)}`)).rejects.toMatchObject({
      code: 'GIT_REF_NOT_FOUND',
      help: expect.stringContaining('full ID'),
    });
  });

  test('compares the checksum with the beginning of the commit or tag ID', async () => {
    const { first, tag } = repositories;
    for (const checksum of [first, first.slice(0, 7), tag, tag.slice(0, 9)])
      expect((await fetcher().fetch(`{}/top.git?checksum=${checksum}#v1`)).commit).toBe(first);
    await expect(fetcher().fetch(`{}/top.git?checksum=${first}#main`)).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
    });
    await expect(
      fetcher().fetch(`{}/top.git?checksum=${first}#${repositories.second}`),
    ).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
    });
  });

  test('fetches the commit of the checksum whatever the branch has, when told to fetch by commit', async () => {
    const fetched = await fetcher().fetch(`{}/top.git?fetch-by-commit&checksum=${repositories.first}#main`);
    expect(fetched.commit).toBe(repositories.first);
  });

  test('asks nobody for a commit that it has', async () => {
    const { fetch } = fetcher();
    await fetch('{}/top.git#v1');
    const before = server.requests.length;
    await fetch(`{}/top.git#${repositories.first}:dir`);
    expect(server.requests.length).toBe(before);
    await fetch('{}/top.git#light');
    // One conversation about refs, and no object.
    expect(
      server.requests.slice(before).filter(({ path }) => path === '/top.git/git-upload-pack').length,
    ).toBe(1);
  });

  test('follows a branch that moves', async () => {
    const folder = scratchFolder();
    runGit(folder, 'clone', '-q', '--bare', join(root, 'top.git'), 'moving.git');
    const other = await serveGit(folder);
    onTestFinished(() => other.close());
    const { fetch } = fetcher();
    const url = `${other.url}/moving.git?submodules=0`;
    expect((await fetch(url)).commit).toBe(repositories.third);
    runGit(join(folder, 'moving.git'), 'update-ref', 'refs/heads/main', repositories.first);
    expect((await fetch(url)).commit).toBe(repositories.first);
    // A branch takes the place of a folder of branches.
    runGit(join(folder, 'moving.git'), 'update-ref', '-d', 'refs/heads/feature/x');
    runGit(join(folder, 'moving.git'), 'update-ref', 'refs/heads/feature', repositories.second);
    expect((await fetch(`${url}#feature`)).commit).toBe(repositories.second);
  });

  test('keeps a git dir that is the same every time', async () => {
    const one = await fetcher().fetch('{}/top.git?keep-git-dir');
    const { fetch } = fetcher();
    await fetch(`{}/top.git#${repositories.second}`);
    const two = await fetch('{}/top.git?keep-git-dir=1#');
    expect(listing(two.path)).toEqual(listing(one.path));
    const { path } = one;
    expect(runGit(path, 'rev-parse', 'HEAD', 'refs/heads/main')).toBe(
      `${repositories.third}\n${repositories.third}`,
    );
    expect(runGit(path, 'status', '--porcelain')).toBe('');
    expect(runGit(path, 'describe', '--always', '--dirty')).toBe(repositories.third.slice(0, 7));
    expect(runGit(path, 'config', 'remote.origin.url')).toBe(`${server.url}/top.git`);
    expect(runGit(path, 'rev-list', '--count', 'HEAD')).toBe('1');
    expect(runGit(join(path, 'mod'), 'status', '--porcelain')).toBe('');
    expect(runGit(path, 'submodule', 'status')).toMatch(/^ ?[0-9a-f]{40} mod/);
    expect(runGit(path, 'fsck')).toBe('');
    expect(existsSync(join(path, '.git/logs')) || existsSync(join(path, '.git/hooks'))).toBe(false);
  });

  test('keeps an annotated tag in the git dir', async () => {
    const { path } = await fetcher().fetch('{}/top.git?keep-git-dir#v1');
    expect(runGit(path, 'describe')).toBe('v1');
    expect(runGit(path, 'rev-parse', 'v1')).toBe(repositories.tag);
  });

  test('reads a repository on this machine when the command line names it', async () => {
    const { path } = await fetcher().fetch(`file://${root}/top.git?submodules=false#main:dir`);
    expect(readdirSync(path).sort()).toEqual(['deep', 'out']);
  });

  test('does not let a repository reach others on this machine', async () => {
    await expect(fetcher().fetch(`file://${root}/top.git`)).rejects.toMatchObject({
      code: 'GIT_FAILED',
      notes: expect.arrayContaining([{ message: expect.stringContaining("transport 'file' not allowed") }]),
    });
  });

  test('sends the credentials that it is given, to the remote only and not on the command line', async () => {
    const guarded = await serveGit(root, { authorization: 'Basic c2VjcmV0' });
    onTestFinished(() => guarded.close());
    const url = `${guarded.url}/top.git#v1`;
    await expect(fetcher().fetch(url)).rejects.toMatchObject({
      code: 'GIT_FAILED',
      help: expect.stringContaining('GIT_AUTH_TOKEN'),
    });
    const fetched = await fetcher().fetch(url, { authorization: 'Basic c2VjcmV0' });
    expect(fetched.commit).toBe(repositories.first);
  });

  test('does not show a password in an error', async () => {
    const error = (await fetcher()
      .fetch('http://me:s3cret@127.0.0.1:1/x.git')
      .catch((e: unknown) => e)) as Error;
    expect(JSON.stringify(error) + error.message).not.toContain('s3cret');
  });

  test('fetches from a server that neither cuts history nor gives single commits', async () => {
    const folder = scratchFolder();
    runGit(folder, 'clone', '-q', '--bare', join(root, 'top.git'), 'plain.git');
    const bare = join(folder, 'plain.git');
    runGit(bare, 'update-server-info');
    const { createServer } = await import('node:http');
    const dumb = createServer((request, response) => {
      const file = join(folder, new URL(request.url ?? '/', 'http://x').pathname);
      if (existsSync(file) && lstatSync(file).isFile()) response.end(readFileSync(file));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => dumb.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void dumb.close());
    const url = `http://127.0.0.1:${(dumb.address() as { port: number }).port}/plain.git?submodules=0`;
    expect((await fetcher().fetch(`${url}#v1`)).commit).toBe(repositories.first);
    expect((await fetcher().fetch(`${url}#${repositories.first}`)).commit).toBe(repositories.first);
  });

  test('says that git is missing', async () => {
    await expect(fetcher().fetch('{}/top.git', { env: { PATH: '/nonexistent' } })).rejects.toMatchObject({
      code: 'GIT_FAILED',
      message: expect.stringContaining('not installed'),
    });
  });

  test('stops when it is aborted', async () => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('enough')), 200);
    const { port } = silent.address() as { port: number };
    await expect(fetcher().fetch(`http://127.0.0.1:${port}/x.git`, { signal: abort.signal })).rejects.toThrow(
      'enough',
    );
  });

  test('works in parallel from one remote', async () => {
    const { fetch } = fetcher();
    const urls = ['{}/top.git', '{}/top.git#v1', '{}/top.git#feature/x', '{}/top.git#main:dir'];
    const fetched = await Promise.all(urls.map((url) => fetch(url)));
    const { first, second, third } = repositories;
    expect(fetched.map(({ commit }) => commit)).toEqual([third, first, second, third]);
  });
});
