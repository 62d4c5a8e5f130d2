import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type FetchUrlOptions, fetchUrl } from '../../src/builder/remote/fetch-url.ts';
import { HeldEntries, removeUnheld } from '../../src/builder/remote/held-entries.ts';
import { type Digest, digestOf } from '../../src/oci/index.ts';
import { proxyForUrl } from '../../src/registry/http/index.ts';
import { scratchFolder } from '../support/scratch.ts';

async function serve(
  listener: RequestListener,
): Promise<{ url: string; requests: IncomingMessage[]; server: Server }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  onTestFinished(close);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests, server };
}

function fetcher() {
  const folder = scratchFolder();
  const cacheDir = join(folder, 'cache');
  let count = 0;
  return {
    cacheDir,
    fetch: (url: string, extra: Partial<FetchUrlOptions> = {}) => {
      const held = new HeldEntries();
      onTestFinished(() => held.release());
      count += 1;
      const scratch = scratchFolder();
      return fetchUrl(url, {
        cacheDir,
        scratch,
        held,
        env: {},
        signal: new AbortController().signal,
        now: () => 1_000_000_000_000 + count,
        retryDelaysMs: [1, 1],
        ...extra,
      });
    },
  };
}

describe('fetchUrl', () => {
  test('downloads a file with its digest, size and time', async () => {
    const { url } = await serve((_, response) => {
      response.setHeader('last-modified', 'Sat, 09 Sep 2001 01:46:40 GMT');
      response.end('hello');
    });
    const file = await fetcher().fetch(`${url}/a`);
    expect(readFileSync(file.path, 'utf8')).toBe('hello');
    expect(file).toMatchObject({ size: 5, digest: digestOf('hello'), lastModified: 1_000_000_000 });
  });

  test('keeps bodies of any size out of memory, byte for byte', async () => {
    const chunk = Buffer.alloc(1 << 20, 'x');
    const { url } = await serve((_, response) => {
      let left = 40;
      const more = () => {
        while (left-- > 0) if (!response.write(chunk)) return void response.once('drain', more);
        response.end();
      };
      more();
    });
    const hash = createHash('sha256');
    for (let i = 0; i < 40; i++) hash.update(chunk);
    const file = await fetcher().fetch(url);
    expect(file).toMatchObject({ size: 40 << 20, digest: `sha256:${hash.digest('hex')}` });
  });

  test.each(['"v1"', 'W/"v1"'])(
    'asks with the ETag %s and keeps the copy that the server confirms',
    async (etag) => {
      const { url, requests } = await serve((request, response) => {
        response.setHeader('etag', etag);
        if (request.headers['if-none-match'] === etag) response.writeHead(304).end();
        else response.end('one');
      });
      const { fetch } = fetcher();
      const before = await fetch(url);
      const after = await fetch(url);
      expect(after).toEqual(before);
      expect(requests.map((request) => request.headers['if-none-match'])).toEqual([undefined, etag]);
    },
  );

  test('takes the new content when the ETag is another, and lets the old go', async () => {
    let version = 1;
    const { url } = await serve((request, response) => {
      response.setHeader('etag', `"${version}"`);
      if (request.headers['if-none-match'] === `"${version}"`) response.writeHead(304).end();
      else response.end(`content ${version}`);
    });
    const { fetch, cacheDir } = fetcher();
    const held = new HeldEntries();
    const first = await fetch(url, { held });
    held.release();
    version = 2;
    expect((await fetch(url)).digest).toBe(digestOf('content 2'));
    const [folder = ''] = readdirSync(cacheDir);
    expect(readdirSync(join(cacheDir, folder)).sort()).toEqual(
      [digestOf('content 2').slice(7), 'record.json'].sort(),
    );
    expect(first.digest).toBe(digestOf('content 1'));
  });

  test.each([
    { age: 'an hour', lastModified: 'Sat, 09 Sep 2001 00:46:40 GMT', asks: true },
    { age: 'no time at all', lastModified: 'Sat, 09 Sep 2001 01:46:40 GMT', asks: false },
  ])(
    'believes a Last-Modified only when the content was old enough: $age',
    async ({ lastModified, asks }) => {
      const { url, requests } = await serve((request, response) => {
        response.sendDate = false;
        response.setHeader('date', 'Sat, 09 Sep 2001 01:46:40 GMT');
        response.setHeader('last-modified', lastModified);
        if (request.headers['if-modified-since'] === lastModified) response.writeHead(304).end();
        else response.end('one');
      });
      const { fetch } = fetcher();
      await fetch(url);
      await fetch(url);
      expect(requests[1]?.headers['if-modified-since']).toBe(asks ? lastModified : undefined);
    },
  );

  test('never answers from the cache when the server cannot be reached', async () => {
    const { url, server } = await serve((_, response) => {
      response.setHeader('etag', '"x"');
      response.end('one');
    });
    const { fetch } = fetcher();
    await fetch(url);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await expect(fetch(url)).rejects.toMatchObject({ code: 'URL_UNREACHABLE' });
  });

  test('downloads again when the cached file was damaged', async () => {
    const { url } = await serve((request, response) => {
      response.setHeader('etag', '"x"');
      if (request.headers['if-none-match']) response.writeHead(304).end();
      else response.end('good');
    });
    const { fetch } = fetcher();
    const file = await fetch(url);
    writeFileSync(file.path, 'evil');
    expect(readFileSync((await fetch(url)).path, 'utf8')).toBe('good');
    writeFileSync(join(file.path, '../record.json'), '{"ver');
    expect(readFileSync((await fetch(url)).path, 'utf8')).toBe('good');
  });

  test('needs no network for a file whose checksum is known and in the cache', async () => {
    const { url, requests } = await serve((_, response) => response.end('pinned'));
    const { fetch } = fetcher();
    const checksum = digestOf('pinned');
    await fetch(url, { checksum });
    expect((await fetch(url, { checksum })).digest).toBe(checksum);
    expect(requests).toHaveLength(1);
  });

  test('refuses content with another checksum, naming wanted and found', async () => {
    const { url } = await serve((_, response) => response.end('other'));
    const checksum = digestOf('pinned');
    await expect(fetcher().fetch(url, { checksum })).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      notes: [{ message: `wanted ${checksum}` }, { message: `found  ${digestOf('other')}` }],
    });
  });

  test('tries again after errors of the server and lost connections', async () => {
    const answers = [503, 'cut', 'reset', 200];
    const { url, requests } = await serve((request, response) => {
      const answer = answers.shift();
      if (answer === 503) response.writeHead(503, { 'retry-after': '0' }).end();
      else if (answer === 'reset') request.socket.destroy();
      else if (answer === 'cut') {
        response.writeHead(200, { 'content-length': 100 });
        response.write('only this');
        setTimeout(() => request.socket.destroy(), 20);
      } else response.end('at last');
    });
    const file = await fetcher().fetch(url, { retryDelaysMs: [1, 1, 1] });
    expect(file.digest).toBe(digestOf('at last'));
    expect(requests).toHaveLength(4);
  });

  test.each([404, 401, 403, 410])('does not try again after status %i', async (status) => {
    const { url, requests } = await serve((_, response) => response.writeHead(status).end('nope'));
    const error = await fetcher()
      .fetch(url)
      .catch((e: unknown) => e);
    expect(error).toMatchObject({
      code: 'URL_UNREACHABLE',
      message: expect.stringContaining(String(status)),
    });
    expect(requests).toHaveLength(1);
  });

  test('gives up on a server that stays broken', async () => {
    const { url, requests } = await serve((_, response) => response.writeHead(500).end());
    await expect(fetcher().fetch(url)).rejects.toMatchObject({ code: 'URL_UNREACHABLE' });
    expect(requests).toHaveLength(3);
  });

  test('follows redirects and drops credentials on the way to another server', async () => {
    const other = await serve((_, response) => response.end('moved'));
    const { url, requests } = await serve((request, response) => {
      if (request.url === '/a') response.writeHead(302, { location: '/b' }).end();
      else response.writeHead(307, { location: `${other.url}/c?d=e` }).end();
    });
    const file = await fetcher().fetch(`${url}/a`, { headers: { authorization: 'Bearer s3cret' } });
    expect(file.digest).toBe(digestOf('moved'));
    expect(requests.map((request) => request.headers.authorization)).toEqual([
      'Bearer s3cret',
      'Bearer s3cret',
    ]);
    expect(other.requests.map(({ url: path, headers }) => [path, headers.authorization])).toEqual([
      ['/c?d=e', undefined],
    ]);
  });

  test('sends the user and password of the URL, and never shows them', async () => {
    const { url, requests } = await serve((_, response) => response.writeHead(404).end());
    const secret = url.replace('http://', 'http://me:p%40ss@');
    const error = (await fetcher()
      .fetch(secret)
      .catch((e: unknown) => e)) as Error;
    expect(requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:p@ss').toString('base64')}`);
    expect(error.message).not.toContain('p%40ss');
  });

  test.each([
    ['a redirect loop', '/again', 'more than 10 redirects'],
    ['a redirect out of http', 'file:///etc/passwd', 'not an http(s) URL'],
  ])('refuses %s', async (_, location, message) => {
    const { url } = await serve((__, response) => response.writeHead(302, { location }).end());
    await expect(fetcher().fetch(url)).rejects.toThrow(message);
  });

  test('undoes a gzip coding that it did not ask for', async () => {
    const { url } = await serve((_, response) => {
      response.setHeader('content-encoding', 'gzip');
      response.end(gzipSync('plain'));
    });
    expect((await fetcher().fetch(url)).digest).toBe(digestOf('plain'));
  });

  test.each(['http://[oops', 'http://exa mple.com/x'])('refuses the URL %j', async (url) => {
    await expect(fetcher().fetch(url)).rejects.toMatchObject({ code: 'URL_INVALID' });
  });

  test('stops at once when it is aborted', async () => {
    const { url } = await serve((_, response) => void response.write('first'));
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('enough')), 50);
    await expect(fetcher().fetch(url, { signal: abort.signal })).rejects.toThrow('enough');
  });

  test('goes through the proxy that the environment names', async () => {
    const proxy = await serve((request, response) => response.end(`proxied ${request.url}`));
    const env = { HTTP_PROXY: proxy.url };
    const file = await fetcher().fetch('http://files.example/a', { env });
    expect(readFileSync(file.path, 'utf8')).toBe('proxied http://files.example/a');
  });

  test.skipIf(spawnSync('openssl', ['version']).error !== undefined)(
    'trusts the authorities that SSL_CERT_FILE names (needs openssl to make one)',
    async () => {
      const folder = scratchFolder();
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
      const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
      const made = [
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-keyout',
        key,
        '-out',
        cert,
      ];
      spawnSync('openssl', ['req', '-x509', ...made, ...subject]);
      const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (_, response) =>
        response.end('secure'),
      );
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      onTestFinished(() => {
        server.closeAllConnections();
        server.close();
      });
      const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      expect((await fetcher().fetch(url, { env: { SSL_CERT_FILE: cert } })).digest).toBe(digestOf('secure'));
      await expect(fetcher().fetch(url)).rejects.toMatchObject({ code: 'URL_UNREACHABLE' });
    },
  );

  test('keeps two answers apart that differ by the credentials', async () => {
    const { url } = await serve((request, response) =>
      response.end(request.headers.authorization ?? 'nobody'),
    );
    const { fetch } = fetcher();
    await fetch(url);
    const file = await fetch(url, { headers: { authorization: 'me' }, checksum: digestOf('me') as Digest });
    expect(readFileSync(file.path, 'utf8')).toBe('me');
  });
});

test('an entry that is held cannot be removed until it is released', () => {
  const path = join(scratchFolder(), 'entry');
  writeFileSync(path, '');
  const held = new HeldEntries();
  expect(held.hold(path)).toBe(true);
  expect(removeUnheld(path, () => rmSync(path))).toBe(false);
  held.release();
  expect(removeUnheld(path, () => rmSync(path))).toBe(true);
  expect(held.hold(path)).toBe(false);
});

test.each<[string, Record<string, string>, string | null]>([
  ['http://a.example/', {}, null],
  ['http://a.example/', { http_proxy: 'http://p:1' }, 'http://p:1'],
  ['http://a.example/', { HTTP_PROXY: 'p:1' }, 'http://p:1'],
  ['https://a.example/', { HTTP_PROXY: 'http://p:1' }, null],
  ['https://a.example/', { https_proxy: 'http://s:1', HTTP_PROXY: 'http://p:1' }, 'http://s:1'],
  ['https://a.example/', { ALL_PROXY: 'http://p:1' }, 'http://p:1'],
  ['http://localhost/', { http_proxy: 'http://p:1' }, null],
  ['http://127.0.0.1/', { http_proxy: 'http://p:1' }, null],
  ['http://[::1]/', { http_proxy: 'http://p:1' }, null],
  ['http://a.example/', { http_proxy: 'http://p:1', no_proxy: '*' }, null],
  ['http://a.example/', { http_proxy: 'http://p:1', no_proxy: 'b.example, a.example' }, null],
  ['http://x.a.example/', { http_proxy: 'http://p:1', no_proxy: 'a.example' }, null],
  ['http://a.example/', { http_proxy: 'http://p:1', no_proxy: '.a.example' }, 'http://p:1'],
  ['http://xa.example/', { http_proxy: 'http://p:1', no_proxy: 'a.example' }, 'http://p:1'],
  ['http://a.example:8080/', { http_proxy: 'http://p:1', no_proxy: 'a.example:8080' }, null],
  ['http://a.example/', { http_proxy: 'http://p:1', no_proxy: 'a.example:8080' }, 'http://p:1'],
  ['http://10.1.2.3/', { http_proxy: 'http://p:1', NO_PROXY: '10.0.0.0/8' }, null],
  ['http://11.1.2.3/', { http_proxy: 'http://p:1', NO_PROXY: '10.0.0.0/8' }, 'http://p:1'],
])('the proxy for %s with %j is %s', (url, env, proxy) => {
  expect(proxyForUrl(new URL(url), env)).toBe(proxy);
});
