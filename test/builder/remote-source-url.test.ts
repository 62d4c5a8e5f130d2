import { describe, expect, test } from 'vitest';
import { parseSourceUrl } from '../../src/builder/remote/source-url.ts';
import { redactUrl } from '../../src/registry/http/index.ts';

const git = (remote: string, rest: object = {}) => ({ kind: 'git', remote, ...rest });
const http = (url: string, fileName: string) => ({ kind: 'http', url, fileName });
const local = { kind: 'local' };

describe('parseSourceUrl', () => {
  test.each<[string, object]>([
    // Local paths.
    ['app.js', local],
    ['./x.git', local],
    ['../x.git', local],
    ['.git', local],
    ['/abs/repo.git', local],
    ['custom.example/moby/buildkit.git', local],
    ['github.com/moby/buildkit', local],
    ['github.com/moby/buildkit.git#main', local],
    ['httpx://example.com/a.git', local],
    ['file:///srv/repo.git', local],
    ['ftp://example.com/a.git', local],
    ['HTTP://example.com/a', local],
    ['a@b', local],
    ['bad:user@example.com:foo/bar.git', local],
    ['', local],
    // http and https: a repository only with the suffix.
    ['https://example.com', http('https://example.com', '__unnamed__')],
    ['https://example.com/', http('https://example.com/', '__unnamed__')],
    ['https://example.com/?x=y', http('https://example.com/?x=y', '__unnamed__')],
    ['https://example.com/foo', http('https://example.com/foo', 'foo')],
    ['https://example.com/a/b/', http('https://example.com/a/b/', 'b')],
    ['https://example.com/a/b//', http('https://example.com/a/b//', 'b')],
    [
      'http://example.com:8080/a/b.tar.gz?token=x#frag',
      http('http://example.com:8080/a/b.tar.gz?token=x#frag', 'b.tar.gz'),
    ],
    ['http://example.com/with%20space', http('http://example.com/with%20space', 'with space')],
    ['http://example.com/a%2Fb', http('http://example.com/a%2Fb', 'b')],
    ['http://example.com/%zz', http('http://example.com/%zz', '__unnamed__')],
    ['http://example.com/a/..', http('http://example.com/a/..', '__unnamed__')],
    ['http://example.com/%E8%B3%87.txt', http('http://example.com/%E8%B3%87.txt', '資.txt')],
    ['https://example.com/foo.git/', http('https://example.com/foo.git/', 'foo.git')],
    ['https://example.com/foo.git.bar', http('https://example.com/foo.git.bar', 'foo.git.bar')],
    [
      'http://github.com/docker/docker.git:#branch',
      http('http://github.com/docker/docker.git:#branch', 'docker.git:'),
    ],
    ['https://github.com/moby/buildkit', http('https://github.com/moby/buildkit', 'buildkit')],
    ['https://example.com/foo.git', git('https://example.com/foo.git')],
    ['HTTPS://example.com/foo.git', git('https://example.com/foo.git')],
    ['http://example.com/foo%2Egit', git('http://example.com/foo%2Egit')],
    ['https://foo:bar@example.com/x.git', git('https://foo:bar@example.com/x.git')],
    // Other transports need no suffix.
    ['git://example.com/foo', git('git://example.com/foo')],
    ['git://host.xz:1234/path/to/repo.git', git('git://host.xz:1234/path/to/repo.git')],
    ['ssh://git@example.com:22/moby/x.git', git('ssh://git@example.com:22/moby/x.git')],
    ['ssh://root@example.com/~/home.git#v1', git('ssh://root@example.com/~/home.git', { ref: 'v1' })],
    ['git@example.com:moby/x', git('git@example.com:moby/x')],
    [
      'other_Funky-user52@example.com:/to/really:odd:repo.git/',
      git('other_Funky-user52@example.com:/to/really:odd:repo.git/'),
    ],
    // Fragment.
    ['https://example.com/x.git#deadbeef', git('https://example.com/x.git', { ref: 'deadbeef' })],
    [
      'https://example.com/x.git#baz/qux:quux/quuz',
      git('https://example.com/x.git', { ref: 'baz/qux', subdir: 'quux/quuz' }),
    ],
    ['https://example.com/x.git#:dir', git('https://example.com/x.git', { subdir: 'dir' })],
    ['https://example.com/x.git#main:', git('https://example.com/x.git', { ref: 'main' })],
    ['https://example.com/x.git#', git('https://example.com/x.git')],
    [
      'https://example.com/x.git#main:/a/../b/./c/',
      git('https://example.com/x.git', { ref: 'main', subdir: 'b/c' }),
    ],
    [
      'https://example.com/x.git#main:../../etc',
      git('https://example.com/x.git', { ref: 'main', subdir: 'etc' }),
    ],
    ['https://example.com/x.git#a%20b', git('https://example.com/x.git', { ref: 'a b' })],
    ['git@example.com:x.git#v1:hack', git('git@example.com:x.git', { ref: 'v1', subdir: 'hack' })],
    // Query.
    [
      'https://example.com/x.git?ref=v1&subdir=/sub',
      git('https://example.com/x.git', { ref: 'v1', subdir: '/sub' }),
    ],
    [
      'https://example.com/x.git?subdir=/sub#v1',
      git('https://example.com/x.git', { ref: 'v1', subdir: '/sub' }),
    ],
    ['git@example.com:x.git?subdir=/sub#v1', git('git@example.com:x.git', { ref: 'v1', subdir: '/sub' })],
    ['https://example.com/x.git?tag=v1', git('https://example.com/x.git', { ref: 'refs/tags/v1' })],
    ['https://example.com/x.git?tag=refs/tags/v1', git('https://example.com/x.git', { ref: 'refs/tags/v1' })],
    ['https://example.com/x.git?branch=b', git('https://example.com/x.git', { ref: 'refs/heads/b' })],
    ['https://example.com/x.git?ref=v1#v1', git('https://example.com/x.git', { ref: 'v1' })],
    ['https://example.com/x.git?checksum=abc', git('https://example.com/x.git', { checksum: 'abc' })],
    ['https://example.com/x.git?commit=abc', git('https://example.com/x.git', { checksum: 'abc' })],
    ['https://example.com/x.git?keep-git-dir', git('https://example.com/x.git', { keepGitDir: true })],
    ['https://example.com/x.git?keep-git-dir=0', git('https://example.com/x.git', { keepGitDir: false })],
    ['https://example.com/x.git?submodules=false', git('https://example.com/x.git', { submodules: false })],
    ['https://example.com/x.git?submodules', git('https://example.com/x.git', { submodules: true })],
    ['https://example.com/x.git?mtime=commit', git('https://example.com/x.git', { mtime: 'commit' })],
    [
      'https://example.com/x.git?fetch-by-commit&checksum=ab',
      git('https://example.com/x.git', { fetchByCommit: true, checksum: 'ab' }),
    ],
    ['https://example.com/x.git?', git('https://example.com/x.git')],
  ])('reads %j', (text, expected) => {
    expect(parseSourceUrl(text)).toEqual(expected);
  });

  test.each<[string, object]>([
    ['github.com/moby/buildkit', git('https://github.com/moby/buildkit')],
    ['github.com/moby/buildkit?tag=v1', git('https://github.com/moby/buildkit', { ref: 'refs/tags/v1' })],
    [
      'github.com/moby/buildkit#main:docs',
      git('https://github.com/moby/buildkit', { ref: 'main', subdir: 'docs' }),
    ],
    ['file:///srv/repo.git#main:sub', git('file:///srv/repo.git', { ref: 'main', subdir: 'sub' })],
    ['./github.com/moby', local],
  ])('reads the context %j', (text, expected) => {
    expect(parseSourceUrl(text, { forContext: true })).toEqual(expected);
  });

  test.each([
    ['https://example.com/x.git?ref=v1#v2', 'ref conflicts: "v2" vs "v1"'],
    ['https://example.com/x.git?ref=v1&tag=v1', 'ref conflicts: "v1" vs "refs/tags/v1"'],
    ['https://example.com/x.git?tag=a&branch=b', 'branch conflicts with tag'],
    ['https://example.com/x.git?subdir=a#:b', 'subdir conflicts: "b" vs "a"'],
    ['https://example.com/x.git?ref=a&ref=b', 'query "ref" has multiple values'],
    ['https://example.com/x.git?ref=', 'query "ref" has no value'],
    ['https://example.com/x.git?mtime=now', 'invalid mtime value: "now"'],
    ['https://example.com/x.git?submodules=maybe', 'invalid submodules value: "maybe"'],
    ['https://example.com/x.git?keep-git-dir=2', 'invalid keep-git-dir value: "2"'],
    ['https://example.com/x.git?fetch-by-commit=invalid', 'invalid fetch-by-commit value'],
    ['https://example.com/x.git?invalid=123', 'unexpected query "invalid"'],
    ['github.com/moby/buildkit?x=1', 'unexpected query "x"'],
  ])('refuses %j', (text, message) => {
    expect(() => parseSourceUrl(text)).toThrow(expect.objectContaining({ code: 'GIT_URL_INVALID' }));
    expect(() => parseSourceUrl(text)).toThrow(message);
  });

  test('does not show a password in an error', () => {
    expect(() => parseSourceUrl('https://me:s3cret@example.com/x.git?y=1')).toThrow(/^((?!s3cret).)*$/);
  });
});

test.each([
  ['https://u:p@example.com/x', 'https://xxxxx@example.com/x'],
  ['https://token@example.com/x', 'https://xxxxx@example.com/x'],
  ['ssh://git@example.com/x', 'ssh://git@example.com/x'],
  ['ssh://git:pw@example.com/x', 'ssh://xxxxx@example.com/x'],
  ['git@example.com:x', 'git@example.com:x'],
  ['https://example.com/a@b', 'https://example.com/a@b'],
])('redactUrl shows %j as %j', (url, shown) => {
  expect(redactUrl(url)).toBe(shown);
});
