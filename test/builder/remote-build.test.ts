import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type BuildEvent,
  type BuildOptions,
  build,
  contextOf,
  namedContextOf,
} from '../../src/builder/index.ts';
import { digestOf } from '../../src/oci/index.ts';
import { openStore } from '../../src/store/index.ts';
import { toBytes, toText } from '../../src/sys/index.ts';
import { runGit, serveGit } from '../support/git-server.ts';
import { type RawMember, rawTar } from '../support/raw-tar.ts';
import { scratchFolder } from '../support/scratch.ts';

/** Serves files by path; a change of one is a new ETag. */
async function serveFiles(files: Record<string, string | Buffer>): Promise<{ url: string; hits: string[] }> {
  const hits: string[] = [];
  const server = createServer((request, response) => {
    hits.push(request.url ?? '');
    const body = files[request.url ?? ''];
    if (body === undefined) return void response.writeHead(404).end();
    const etag = `"${digestOf(body)}"`;
    response.setHeader('etag', etag);
    if (request.headers.authorization) response.setHeader('x-seen', request.headers.authorization);
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
    else response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits };
}

function builder() {
  const root = scratchFolder();
  return {
    root,
    /** Builds and lists the image: path to `mode uid content`. */
    run: async (
      options: Partial<BuildOptions> & { dockerfileText?: string; files?: Record<string, string | Buffer> },
    ) => {
      const { dockerfileText, files, ...rest } = options;
      const folder = scratchFolder();
      for (const [name, content] of Object.entries(files ?? {})) {
        mkdirSync(join(folder, name, '..'), { recursive: true });
        writeFileSync(join(folder, name), content);
      }
      const store = openStore({ root });
      onTestFinished(() => store.close());
      const events: BuildEvent[] = [];
      const result = await build({
        store,
        context: { kind: 'dir', path: folder },
        hostEnv: { PATH: process.env.PATH },
        onEvent: (event) => events.push(event),
        ...(dockerfileText === undefined
          ? {}
          : { dockerfile: { kind: 'text', text: dockerfileText, name: 'Dockerfile' } }),
        ...rest,
      });
      const image = store.images.get(result.imageId);
      const tree = store.layers.tree(image.config.rootfs.diff_ids);
      const listing: Record<string, string> = {};
      for (const [path, node] of tree.walk()) {
        const attributes = `${node.mode.toString(8)} ${node.uid}`;
        if (node.type === 'symlink') listing[toText(path)] = `-> ${node.link}`;
        else if (node.type !== 'file') listing[toText(path)] = `${node.type} ${attributes}`;
        else {
          const content = store.layers.content(node);
          const text =
            content.kind === 'slice'
              ? readFileSync(content.path).toString('latin1', content.offset, content.offset + node.size)
              : '';
          listing[toText(path)] = `${attributes} ${text}`;
        }
      }
      const history = (image.config.history ?? []).map((entry) => entry.created_by);
      return { ...result, listing, history, events, store };
    },
  };
}

const folder = (name: string, mode = '0000755\0'): RawMember => ({ name, flag: '5', mode });
const file = (name: string, body: string): RawMember => ({ name, body });

describe('ADD of URLs', () => {
  test('copies the file with its name, root-owned and 0600', async () => {
    const { url } = await serveFiles({ '/a/tool.sh?x=1': 'tool' });
    const { listing, history } = await builder().run({
      dockerfileText: `FROM scratch\nADD ${url}/a/tool.sh?x=1 /bin/\n`,
    });
    expect(listing).toEqual({ bin: 'dir 755 0', 'bin/tool.sh': '600 0 tool' });
    expect(history).toEqual([`ADD ${url}/a/tool.sh?x=1 /bin/ # buildkit`]);
  });

  test('asks the server at each build, and packs only what changed', async () => {
    const files = { '/f': 'one' };
    const { url, hits } = await serveFiles(files);
    const { run } = builder();
    const dockerfileText = `FROM scratch\nADD ${url}/f /f\n`;
    const first = await run({ dockerfileText });
    const second = await run({ dockerfileText });
    expect(second).toMatchObject({ imageId: first.imageId, cachedSteps: 1 });
    files['/f'] = 'two';
    const third = await run({ dockerfileText });
    expect(third.listing).toEqual({ f: '600 0 two' });
    expect(third.cachedSteps).toBe(0);
    expect(hits).toHaveLength(3);
  });

  test('takes one answer for all instructions of a build', async () => {
    const { url, hits } = await serveFiles({ '/f': 'one' });
    await builder().run({ dockerfileText: `FROM scratch\nADD ${url}/f /a\nADD ${url}/f /b\n` });
    expect(hits).toHaveLength(1);
  });

  test('checks --checksum, and needs no network when it knows such a file', async () => {
    const { url, hits } = await serveFiles({ '/f': 'one' });
    const { run } = builder();
    const good = `FROM scratch\nADD --checksum=${digestOf('one')} ${url}/f /f\n`;
    await run({ dockerfileText: good });
    expect((await run({ dockerfileText: good })).cachedSteps).toBe(1);
    expect(hits).toHaveLength(1);
    const bad = `FROM scratch\nADD --checksum=${digestOf('two')} ${url}/f /f\n`;
    await expect(run({ dockerfileText: bad })).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      at: { line: 2 },
    });
  });

  test('unpacks an archive only with --unpack', async () => {
    const { url } = await serveFiles({ '/a.tgz': gzipSync(rawTar([file('x', 'X')])) });
    const { listing } = await builder().run({
      dockerfileText: `FROM scratch\nADD ${url}/a.tgz /kept/\nADD --unpack ${url}/a.tgz /out/\n`,
    });
    expect(Object.keys(listing)).toEqual(['kept', 'kept/a.tgz', 'out', 'out/x']);
  });

  test('sends the secrets for its host', async () => {
    const seen: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.end('x');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
    await builder().run({
      dockerfileText: `FROM scratch\nADD ${url} /x\n`,
      secrets: { 'HTTP_AUTH_TOKEN_127.0.0.1': { kind: 'bytes', bytes: Buffer.from('s3cret\n') } },
    });
    expect(seen).toEqual(['Bearer s3cret']);
  });

  test('keeps passwords out of the history and of errors', async () => {
    const { url } = await serveFiles({ '/f': 'x' });
    const secret = url.replace('//', '//me:s3cret@');
    const { history } = await builder().run({ dockerfileText: `FROM scratch\nADD ${secret}/f /\n` });
    expect(history.join()).not.toContain('s3cret');
    const error = await builder()
      .run({ dockerfileText: `FROM scratch\nADD ${secret}/nope /\n` })
      .catch((e: unknown) => e);
    expect((error as Error).message).not.toContain('s3cret');
  });

  test.each([
    ['COPY http://example.invalid/x /', 'SOURCE_NEEDS_ADD'],
    ['COPY git@example.invalid:x.git /', 'SOURCE_NEEDS_ADD'],
    [`ADD --checksum=${digestOf('')} local /`, 'CHECKSUM_INVALID'],
    ['ADD --checksum=md5:1 http://example.invalid/x /', 'CHECKSUM_INVALID'],
    [
      `ADD --checksum=${digestOf('')} http://example.invalid/x http://example.invalid/y /d/`,
      'CHECKSUM_INVALID',
    ],
    ['ADD https://example.invalid/x.git?nope=1 /', 'GIT_URL_INVALID'],
    ['ADD --checksum=ab https://example.invalid/x.git?checksum=cd /', 'CHECKSUM_INVALID'],
    ['ADD --keep-git-dir=false https://example.invalid/x.git?keep-git-dir=1 /', 'FLAG_VALUE_INVALID'],
    ['ADD http://[bad /', 'URL_INVALID'],
  ])('refuses %s with %s at its place', async (line, code) => {
    await expect(builder().run({ dockerfileText: `FROM scratch\n${line}\n` })).rejects.toMatchObject({
      code,
      at: { line: 2 },
    });
  });
});

describe('ADD of archives', () => {
  const tar = rawTar([folder('d/', '0000700\0'), file('d/f', 'F')]);

  test('unpacks local ones whatever their name, and copies everything else', async () => {
    const { listing } = await builder().run({
      files: { 'a.data': gzipSync(tar), 'b.tar': 'no tar', empty: '' },
      dockerfileText:
        'FROM scratch\nADD a.data /a\nADD b.tar /b/\nADD empty /e\nADD --unpack=false a.data /raw\n',
    });
    expect(listing).toMatchObject({
      a: 'dir 755 0',
      'a/d': 'dir 700 0',
      'a/d/f': '644 0 F',
      'b/b.tar': '644 0 no tar',
      e: '644 0 ',
    });
    expect(listing.raw).toMatch(/^644 0 /);
  });

  test('is a hit while the archive is the same, and a miss when another one of several changes', async () => {
    const { run } = builder();
    const dockerfileText = 'FROM scratch\nADD *.tar /d\n';
    const other = rawTar([file('g', 'G')]);
    const first = await run({ files: { 'a.tar': tar, 'b.tar': other }, dockerfileText });
    expect((await run({ files: { 'a.tar': tar, 'b.tar': other }, dockerfileText })).cachedSteps).toBe(1);
    const changed = await run({
      files: { 'a.tar': rawTar([file('h', 'H')]), 'b.tar': other },
      dockerfileText,
    });
    expect(Object.keys(changed.listing)).toEqual(['d', 'd/g', 'd/h']);
    expect(changed.imageId).not.toBe(first.imageId);
  });

  test('gives the place of a damaged one', async () => {
    const files = { 'a.tar': Buffer.concat([tar.subarray(0, 1536), Buffer.alloc(512, 1)]) };
    await expect(
      builder().run({ files, dockerfileText: 'FROM scratch\nADD a.tar /\n' }),
    ).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
      at: { line: 2, column: 5 },
    });
  });
});

describe('contexts', () => {
  async function* chunks(bytes: Buffer) {
    for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
  }
  const tar = rawTar([
    file('Dockerfile', 'FROM scratch\nCOPY . /\n'),
    file('other', 'FROM scratch\nCOPY d/f /other\n'),
    file('.dockerignore', 'd\n'),
    { name: 'd/f', body: 'F', uid: '0001750\0' },
  ]);

  test('a tar on standard input has the files and the Dockerfile', async () => {
    const { listing } = await builder().run({ context: { kind: 'stream', bytes: chunks(gzipSync(tar)) } });
    expect(Object.keys(listing)).toEqual(['.dockerignore', 'Dockerfile', 'd', 'd/f', 'other']);
    // As in BuildKit, owners of the archive are kept and ignore files in it do not count.
    expect(listing['d/f']).toBe('644 1000 F');
  });

  test('-f names a file inside the tar', async () => {
    const { listing } = await builder().run({
      context: { kind: 'stream', bytes: chunks(tar) },
      dockerfile: { kind: 'file', path: 'other' },
    });
    expect(listing).toEqual({ other: '644 1000 F' });
  });

  test('anything else on standard input is the Dockerfile, without files', async () => {
    const { history } = await builder().run({
      context: { kind: 'stream', bytes: chunks(Buffer.from('FROM scratch\nLABEL a=b\n')) },
    });
    expect(history).toEqual(['LABEL a=b']);
    await expect(
      builder().run({ context: { kind: 'stream', bytes: chunks(Buffer.from('FROM scratch\nCOPY x /\n')) } }),
    ).rejects.toMatchObject({ code: 'COPY_SOURCE_NOT_FOUND', help: expect.stringContaining('empty') });
  });

  test('a URL gives a tar or a Dockerfile', async () => {
    const { url } = await serveFiles({
      '/c.tgz': gzipSync(tar),
      '/Df': 'FROM scratch\nCOPY context /c\n',
      '/x': gzipSync('x'),
    });
    const { run } = builder();
    expect((await run({ context: { kind: 'http', url: `${url}/c.tgz` } })).listing['d/f']).toBe('644 1000 F');
    expect((await run({ context: { kind: 'http', url: `${url}/Df` } })).listing.c).toContain(
      '600 0 FROM scratch',
    );
    await expect(run({ context: { kind: 'http', url: `${url}/x` } })).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
    });
    await expect(run({ context: { kind: 'http', url: `${url}/nope` } })).rejects.toMatchObject({
      code: 'URL_UNREACHABLE',
    });
  });

  test('a Dockerfile that a context lacks is looked for there', async () => {
    const { url } = await serveFiles({ '/c.tar': rawTar([file('x', '')]) });
    await expect(builder().run({ context: { kind: 'http', url: `${url}/c.tar` } })).rejects.toMatchObject({
      code: 'DOCKERFILE_NOT_FOUND',
      help: expect.stringContaining(url),
    });
  });

  test.each([
    ['https://x.example/a.git#b', { kind: 'git', url: 'https://x.example/a.git#b' }],
    ['https://x.example/a.tgz', { kind: 'http', url: 'https://x.example/a.tgz' }],
    ['github.com/x/y', { kind: 'git', url: 'github.com/x/y' }],
    ['src', { kind: 'dir', path: 'src' }],
    ['nowhere', { kind: 'dir', path: 'nowhere' }],
  ])('contextOf(%j)', (text, expected) => {
    expect(contextOf(text)).toEqual(expected);
  });
});

describe('named contexts', () => {
  const named = (...values: string[]) =>
    Object.fromEntries(values.map(namedContextOf).map(({ name, source }) => [name, source]));

  test('take the place of images in FROM and --from, less what their ignore file says', async () => {
    const base = scratchFolder();
    writeFileSync(join(base, 'keep'), 'K');
    writeFileSync(join(base, 'drop.log'), 'D');
    writeFileSync(join(base, '.dockerignore'), '*.log\n');
    const { listing, history } = await builder().run({
      namedContexts: named(`debian:latest=${base}`, `files=${base}`),
      dockerfileText: 'FROM debian\nCOPY --from=files keep /copied\n',
    });
    expect(listing).toEqual({ '.dockerignore': '644 0 *.log\n', keep: '644 0 K', copied: '644 0 K' });
    expect(history.at(-1)).toBe('COPY keep /copied # buildkit');
  });

  test('take the place of a whole stage', async () => {
    const other = scratchFolder();
    writeFileSync(join(other, 'f'), 'named');
    const { listing } = await builder().run({
      namedContexts: named(`build=${other}`),
      files: { f: 'stage' },
      dockerfileText: 'FROM nothing-like-this AS build\nCOPY f /f\nFROM scratch\nCOPY --from=build /f /f\n',
    });
    expect(listing).toEqual({ f: '644 0 named' });
  });

  test('a URL is one file called context', async () => {
    const { url } = await serveFiles({ '/x.tar': 'bytes' });
    const { listing } = await builder().run({
      namedContexts: named(`up=${url}/x.tar`),
      dockerfileText: 'FROM scratch\nCOPY --from=up . /\n',
    });
    expect(listing).toEqual({ context: '600 0 bytes' });
  });

  test('an image of the store, and one of an image layout', async () => {
    const { run, root } = builder();
    const { parseReference } = await import('../../src/oci/index.ts');
    await run({
      files: { a: 'A' },
      tags: [parseReference('one:1')],
      dockerfileText: 'FROM scratch\nCOPY a /\nENV X=1\n',
    });
    const dockerfileText = 'FROM base\nENV Y=2\n';
    const image = await run({ namedContexts: named('base=docker-image://one:1'), dockerfileText });
    const layout = await builder().run({
      namedContexts: named(`base=oci-layout://${root}:1`),
      dockerfileText,
    });
    expect(layout.imageId).toBe(image.imageId);
    expect(layout.listing).toEqual({ a: '644 0 A' });
    await expect(
      builder().run({ namedContexts: named(`base=oci-layout://${root}:nope`), dockerfileText }),
    ).rejects.toMatchObject({ code: 'NAMED_CONTEXT_INVALID' });
  });

  test('a platform of its own comes first', async () => {
    const [plain, special] = [scratchFolder(), scratchFolder()];
    writeFileSync(join(plain, 'f'), 'plain');
    writeFileSync(join(special, 'f'), 'special');
    const options = {
      namedContexts: named(`base=${plain}`, `base::linux/riscv64=${special}`),
      dockerfileText: 'FROM base\n',
    };
    expect((await builder().run(options)).listing).toEqual({ f: '644 0 plain' });
    const platform = { os: 'linux', architecture: 'riscv64' };
    expect((await builder().run({ ...options, platform })).listing).toEqual({ f: '644 0 special' });
  });

  test.each([
    ['novalue', 'must have the form'],
    ['=x', 'must have the form'],
    ['x=', 'must have the form'],
    ['BAD=.', 'not an image or stage name'],
    ['x=/nonexistent', 'is not a directory'],
    ['x=target:other', 'is not a directory'],
    ['x=ftp://y', 'of a kind that is not known'],
    ['x=oci-layout://p@sha256:1', 'is not a digest'],
  ])('refuses %j', (text, message) => {
    expect(() => namedContextOf(text)).toThrow(message);
  });

  test.each([
    ['x=oci-layout:///a/b', { kind: 'oci-layout', path: '/a/b' }],
    ['x=oci-layout://a:b/c', { kind: 'oci-layout', path: 'a:b/c' }],
    [`x=oci-layout://a:1@${digestOf('')}`, { kind: 'oci-layout', path: 'a', tag: '1', digest: digestOf('') }],
    ['x=git@example.com:a.git', { kind: 'git', url: 'git@example.com:a.git' }],
    ['x=file:///srv/a.git', { kind: 'git', url: 'file:///srv/a.git' }],
    ['x=src', { kind: 'dir', path: 'src' }],
  ])('reads %j', (text, source) => {
    expect(namedContextOf(text)).toEqual({ name: 'x', source });
  });
});

const hasGit = (() => {
  try {
    execFileSync('git', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

describe.skipIf(!hasGit)('git repositories (needs git)', () => {
  async function repository() {
    const root = scratchFolder();
    const work = join(root, 'work');
    mkdirSync(join(work, 'sub'), { recursive: true });
    runGit(work, 'init', '-q', '-b', 'main');
    writeFileSync(join(work, 'f'), 'F');
    writeFileSync(join(work, 'sub/Dockerfile'), 'FROM scratch\nCOPY g /g\n');
    writeFileSync(join(work, 'sub/g'), 'G');
    runGit(work, 'add', '.');
    runGit(work, 'commit', '-qm', 'x');
    runGit(root, 'clone', '-q', '--bare', work, 'r.git');
    const server = await serveGit(root);
    onTestFinished(() => server.close());
    return { url: `${server.url}/r.git`, server, work, commit: runGit(work, 'rev-parse', 'HEAD') };
  }

  test('ADD puts the contents into the destination', async () => {
    const { url, commit } = await repository();
    const { run } = builder();
    const dockerfileText = `FROM scratch\nADD --chmod=600 --exclude=sub ${url} /src\nADD --checksum=${commit.slice(0, 8)} ${url}#main:sub /src/\n`;
    const { listing, imageId } = await run({ dockerfileText });
    expect(listing).toEqual({
      src: 'dir 600 0',
      'src/Dockerfile': '644 0 FROM scratch\nCOPY g /g\n',
      'src/f': '600 0 F',
      'src/g': '644 0 G',
    });
    expect(await run({ dockerfileText })).toMatchObject({ imageId, cachedSteps: 2 });
  });

  test("files have the commit's time when the URL asks for it", async () => {
    const { url } = await repository();
    const timestamp = { kind: 'epoch', seconds: 1_800_000_000 } as const;
    const { store, imageId } = await builder().run({
      timestamp,
      dockerfileText: `FROM scratch\nADD ${url}?mtime=commit /a\nADD ${url} /b\n`,
    });
    const tree = store.layers.tree(store.images.get(imageId).config.rootfs.diff_ids);
    expect(tree.get(toBytes('a/f'))?.mtime).toBe(1_700_000_000);
    expect(tree.get(toBytes('b/f'))?.mtime).toBe(1_800_000_000);
  });

  test('a repository is a context, with a subdirectory as its root', async () => {
    const { url } = await repository();
    const { listing } = await builder().run({ context: contextOf(`${url}#main:sub`) });
    expect(listing).toEqual({ g: '644 0 G' });
  });

  test('its .git is kept when the build argument says so', async () => {
    const { url } = await repository();
    const { listing } = await builder().run({
      context: contextOf(`${url}`),
      buildArgs: { BUILDKIT_CONTEXT_KEEP_GIT_DIR: '1' },
      dockerfileText: 'FROM scratch\nCOPY .git/HEAD /\n',
    });
    expect(listing.HEAD).toMatch(/^644 0 [0-9a-f]{40}\n$/);
  });

  test('a build that knows the commit asks the server once and fetches nothing', async () => {
    const { url, server } = await repository();
    const { run } = builder();
    const dockerfileText = `FROM scratch\nADD ${url} /src\n`;
    await run({ dockerfileText });
    const before = server.requests.length;
    await run({ dockerfileText });
    expect(
      server.requests.slice(before).filter(({ path }) => path === '/r.git/git-upload-pack').length,
    ).toBeLessThanOrEqual(2);
  });
});
