import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import { checkLogin, DockerConfig, parseChallenges, pullImage } from '../../src/registry/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { FakeRegistry } from './support/fake-registry.ts';
import { freshStore, testRegistries } from './support/registries.ts';
import { addImage, gzipLayer } from './support/remote-image.ts';

test.each([
  ['Basic realm="x"', [{ scheme: 'basic' }]],
  ['bearer realm="https://a/token"', [{ scheme: 'bearer', realm: 'https://a/token' }]],
  [
    'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
    [{ scheme: 'bearer', realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' }],
  ],
  [
    'Bearer realm="https://a/t?x=\\"y\\"" , service=s',
    [{ scheme: 'bearer', realm: 'https://a/t?x="y"', service: 's' }],
  ],
  ['Negotiate, Basic realm="x"', [{ scheme: 'basic' }]],
  ['Digest realm="x", nonce="y", Bearer realm="https://a/t"', [{ scheme: 'bearer', realm: 'https://a/t' }]],
  ['Bearer service="no realm"', []],
  ['', []],
  ['"garbage', []],
])('the challenge %j is understood', (header, challenges) => {
  expect(parseChallenges([header])).toEqual(challenges);
});

describe("Docker's config.json", () => {
  function configIn(document: object): { readonly config: DockerConfig; readonly folder: string } {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'config.json'), JSON.stringify(document));
    return { config: new DockerConfig({ DOCKER_CONFIG: folder }), folder };
  }
  const basic = (username: string, password: string) => ({ kind: 'basic', username, password });
  const auth = (text: string) => Buffer.from(text).toString('base64');

  test.each([
    ['an auth of the host', { auths: { 'r.example': { auth: auth('u:p') } } }, 'r.example', basic('u', 'p')],
    [
      'an auth of a URL with that host',
      { auths: { 'https://r.example/v1/': { auth: auth('u:p:q') } } },
      'r.example',
      basic('u', 'p:q'),
    ],
    [
      'Docker Hub by its old name',
      { auths: { 'https://index.docker.io/v1/': { auth: auth('u:p') } } },
      'docker.io',
      basic('u', 'p'),
    ],
    [
      'name and password apart',
      { auths: { 'r.example': { username: 'u', password: 'p' } } },
      'r.example',
      basic('u', 'p'),
    ],
    [
      'an identity token',
      { auths: { 'r.example': { auth: auth('u:'), identitytoken: 't' } } },
      'r.example',
      { kind: 'identity-token', token: 't' },
    ],
    [
      'a registry token',
      { auths: { 'r.example': { registrytoken: 't' } } },
      'r.example',
      { kind: 'registry-token', token: 't' },
    ],
    ['nothing for another port', { auths: { 'r.example:5000': { auth: auth('u:p') } } }, 'r.example', null],
    [
      'nothing for a host that ends alike',
      { auths: { 'r.example': { auth: auth('u:p') } } },
      'evil.r.example',
      null,
    ],
    ['nothing in an empty file', {}, 'r.example', null],
    ['nothing for lists that are null', { auths: null, credHelpers: null }, 'r.example', null],
  ])('has %s', async (_, document, registry, found) => {
    expect(await configIn(document).config.find(registry)).toEqual(found);
  });

  test('is written with mode 0600, and keeps what it does not know', async () => {
    const { config, folder } = configIn({
      HttpHeaders: { 'X-Meta': 'y' },
      auths: { other: { auth: auth('a:b'), extra: 1 } },
      psFormat: 'x',
    });
    await config.save('r.example', 'u', { password: 'p' });
    const path = join(folder, 'config.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      HttpHeaders: { 'X-Meta': 'y' },
      psFormat: 'x',
      auths: { other: { auth: auth('a:b'), extra: 1 }, 'r.example': { auth: auth('u:p') } },
    });
    expect(await config.remove('r.example')).toBe(true);
    expect(await config.remove('r.example')).toBe(false);
    expect(await config.find('r.example')).toBeNull();
    expect(await config.find('other')).toEqual(basic('a', 'b'));
  });

  test('is made when there is none, and a link to it stays one', async () => {
    const folder = scratchFolder();
    await new DockerConfig({ HOME: folder }).save('r.example', 'u', { password: 'p' });
    expect(statSync(join(folder, '.docker')).mode & 0o777).toBe(0o700);
    const linked = scratchFolder();
    symlinkSync(join(folder, '.docker/config.json'), join(linked, 'config.json'));
    await new DockerConfig({ DOCKER_CONFIG: linked }).save('s.example', 'u', { password: 'p' });
    expect(await new DockerConfig({ HOME: folder }).find('s.example')).toEqual(basic('u', 'p'));
  });

  test('that is no JSON is an error that shows nothing of it', async () => {
    const folder = scratchFolder();
    writeFileSync(join(folder, 'config.json'), '{"auths": {"x": {"auth": "c2VjcmV0"');
    const found = new DockerConfig({ DOCKER_CONFIG: folder }).find('x');
    await expect(found).rejects.toMatchObject({
      code: 'CREDENTIALS_FAILED',
      message: expect.not.stringContaining('c2Vj'),
    });
  });

  describe('with helper programs', () => {
    /** A helper that keeps each server in a file. */
    function withHelper(document: object) {
      const { folder } = configIn(document);
      const bin = join(folder, 'bin');
      mkdirSync(bin);
      const program = join(bin, 'docker-credential-test');
      writeFileSync(
        program,
        `#!/bin/sh
read -r input
case $1 in
  get) f=$(printf %s "$input" | tr -c 'a-z0-9\\n' _); [ -e "${folder}/$f" ] && cat "${folder}/$f" || { echo "credentials not found in native keychain"; exit 1; } ;;
  store) printf %s "$input" > "${folder}/stored" ;;
  erase) printf %s "$input" > "${folder}/erased" ;;
esac
`,
      );
      chmodSync(program, 0o755);
      const config = new DockerConfig({ DOCKER_CONFIG: folder, PATH: `${bin}:/usr/bin:/bin` });
      return { config, folder };
    }

    test('asks the one of the registry, and believes that there may be nothing', async () => {
      const { config, folder } = withHelper({
        credHelpers: { 'r.example': 'test' },
        auths: { 's.example': { auth: auth('u:p') } },
      });
      expect(await config.find('r.example')).toBeNull();
      writeFileSync(
        join(folder, 'r_example'),
        JSON.stringify({ ServerURL: 'r.example', Username: 'h', Secret: 's' }),
      );
      expect(await config.find('r.example')).toEqual(basic('h', 's'));
      expect(await config.find('s.example')).toEqual(basic('u', 'p'));
    });

    test('gives identity tokens under the name <token>', async () => {
      const { config, folder } = withHelper({ credsStore: 'test' });
      writeFileSync(join(folder, 'r_example'), JSON.stringify({ Username: '<token>', Secret: 't' }));
      expect(await config.find('r.example')).toEqual({ kind: 'identity-token', token: 't' });
    });

    test('stores and erases with it, and no secret gets into the file', async () => {
      const { config, folder } = withHelper({ credsStore: 'test' });
      expect(await config.save('r.example', 'u', { password: 'secret' })).toEqual({ helper: 'test' });
      expect(JSON.parse(readFileSync(join(folder, 'stored'), 'utf8'))).toEqual({
        ServerURL: 'r.example',
        Username: 'u',
        Secret: 'secret',
      });
      expect(readFileSync(join(folder, 'config.json'), 'utf8')).not.toContain('secret');
      await config.remove('r.example');
      expect(readFileSync(join(folder, 'erased'), 'utf8')).toBe('r.example');
    });

    test('that are missing are named', async () => {
      const { config } = configIn({ credsStore: 'nosuch' });
      await expect(config.find('r.example')).rejects.toMatchObject({
        code: 'CREDENTIALS_FAILED',
        message: expect.stringContaining('docker-credential-nosuch get failed: the program is not installed'),
      });
    });
  });
});

interface TokenAsked {
  readonly method: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  readonly form: URLSearchParams;
}

/** A registry that wants tokens, and a token server beside it. */
async function tokenRegistry(options: { readonly expiresIn?: number; readonly lifeRequests?: number } = {}) {
  const asked: TokenAsked[] = [];
  const uses = new Map<string, number>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { searchParams: query } = new URL(request.url ?? '', 'http://x');
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      asked.push({ method: request.method ?? '', query, authorization: request.headers.authorization, form });
      const isOwner =
        request.headers.authorization === `Basic ${Buffer.from('u:p').toString('base64')}` ||
        form.get('refresh_token') === 'identity';
      const isAnonymous = request.headers.authorization === undefined && request.method === 'GET';
      if (!isOwner && !isAnonymous) return void response.writeHead(401).end('{"details":"no"}');
      const body = { token: `t${asked.length}`, expires_in: options.expiresIn ?? 300 };
      const offline = query.get('offline_token') === 'true' ? { refresh_token: 'identity' } : {};
      response.end(JSON.stringify({ ...body, ...offline }));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => void server.close());
  const realm = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const registry: FakeRegistry = await FakeRegistry.start({
    intercept: ({ headers, url }, response) => {
      const token = /^Bearer (t\d+)$/.exec(headers.authorization ?? '')?.[1];
      const count = (uses.get(token ?? '') ?? 0) + 1;
      if (token !== undefined && count <= (options.lifeRequests ?? 1000)) {
        uses.set(token, count);
        return false;
      }
      const scope = /^\/v2\/(.+)\/(?:manifests|blobs)\//.exec(url)?.[1];
      const suffix = scope === undefined ? '' : `,scope="repository:${scope}:pull"`;
      response
        .writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="registry"${suffix}` })
        .end();
      return true;
    },
  });
  addImage(registry, 'app', { layers: [gzipLayer('a', 100), gzipLayer('b', 100)] });
  return { registry, asked, realm };
}

/** A HOME whose config.json knows one registry. */
function homeWith(registry: string, entry: object): Record<string, string> {
  const folder = scratchFolder();
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ auths: { [registry]: entry } }));
  return { DOCKER_CONFIG: folder };
}

const ownAuth = { auth: Buffer.from('u:p').toString('base64') };

describe('tokens', () => {
  const pull = (registry: FakeRegistry, options: Parameters<typeof testRegistries>[0] = {}) =>
    pullImage(testRegistries(options), freshStore(), parseReference(`${registry.host}/app:1`));

  test('are got anonymously, once for all requests of a pull', async () => {
    const { registry, asked } = await tokenRegistry();
    await pull(registry);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'GET', authorization: undefined });
    expect(asked[0]?.query.getAll('scope')).toEqual(['repository:app:pull']);
    expect(asked[0]?.query.get('service')).toBe('registry');
  });

  test('are got with name and password, which the registry itself never sees', async () => {
    const { registry, asked } = await tokenRegistry();
    await pull(registry, { env: homeWith(registry.host, ownAuth) });
    expect(asked[0]?.authorization).toBe(`Basic ${ownAuth.auth}`);
    expect(asked[0]?.query.get('account')).toBe('u');
    expect(registry.requests.filter(({ headers }) => headers.authorization?.startsWith('Basic'))).toEqual([]);
  });

  test('are got for an identity token with POST', async () => {
    const { registry, asked } = await tokenRegistry();
    await pull(registry, { env: homeWith(registry.host, { identitytoken: 'identity' }) });
    expect(asked[0]).toMatchObject({ method: 'POST', authorization: undefined });
    expect(Object.fromEntries(asked[0]!.form)).toMatchObject({
      grant_type: 'refresh_token',
      refresh_token: 'identity',
      service: 'registry',
      scope: 'repository:app:pull',
    });
  });

  test('are renewed when they have expired by the clock', async () => {
    let now = 0;
    const { registry, asked } = await tokenRegistry({ expiresIn: 60 });
    await pull(registry, { now: () => (now += 20_000) });
    expect(asked.length).toBeGreaterThan(1);
    expect(
      registry.requests.filter(({ headers, url }) => headers.authorization === undefined && url !== '/v2/'),
    ).toEqual([]);
  });

  test('are renewed when the registry does not take them any more', async () => {
    const { registry, asked } = await tokenRegistry({ lifeRequests: 1 });
    await pull(registry);
    expect(asked.length).toBeGreaterThan(2);
  });

  test('that are refused for wrong credentials say so', async () => {
    const { registry } = await tokenRegistry();
    const env = homeWith(registry.host, { auth: Buffer.from('u:wrong').toString('base64') });
    await expect(pull(registry, { env })).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
      message: expect.stringContaining('incorrect username or password'),
    });
  });

  test.each([
    'http://tokens.example/token',
    'http://127.0.0.2:1/token',
    'ftp://127.0.0.1/',
    'file:///etc/passwd',
  ])('are not asked for with a password at %s', async (realm) => {
    const registry = await FakeRegistry.start({
      intercept: (_, response) => {
        response.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s"` }).end();
        return true;
      },
    });
    await expect(pull(registry, { env: homeWith(registry.host, ownAuth) })).rejects.toMatchObject({
      code: realm.startsWith('http:') ? 'REGISTRY_DENIED' : 'REGISTRY_RESPONSE_INVALID',
    });
  });
});

describe('credentials', () => {
  test('of basic authentication go with every request to that host', async () => {
    const registry = await FakeRegistry.start({
      intercept: ({ headers }, response) => {
        if (headers.authorization === `Basic ${ownAuth.auth}`) return false;
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        return true;
      },
    });
    addImage(registry, 'app', { layers: [gzipLayer('a', 10)] });
    const name = parseReference(`${registry.host}/app:1`);
    await pullImage(testRegistries({ env: homeWith(registry.host, ownAuth) }), freshStore(), name);
    expect(registry.requests.filter(({ headers }) => headers.authorization === undefined)).toHaveLength(1);
    await expect(pullImage(testRegistries(), freshStore(), name)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
    });
    const wrong = homeWith(registry.host, { auth: Buffer.from('u:x').toString('base64') });
    await expect(pullImage(testRegistries({ env: wrong }), freshStore(), name)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
    });
  });

  test.each(['basic', 'bearer'] as const)(
    '(%s) do not follow a redirect to another host or port',
    async (scheme) => {
      const storage = await FakeRegistry.start();
      const isAuthorized = (value: string | undefined) => value !== undefined;
      const redirect = ({ url, headers }: { url: string; headers: Record<string, unknown> }) =>
        url.includes('/blobs/') && isAuthorized(headers.authorization as string | undefined);
      const { registry } =
        scheme === 'bearer'
          ? await tokenRegistry()
          : {
              registry: await FakeRegistry.start({
                intercept: (request, response) => {
                  if (isAuthorized(request.headers.authorization)) return false;
                  response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
                  return true;
                },
              }),
            };
      if (scheme === 'basic') addImage(registry, 'app', { layers: [gzipLayer('a', 10)] });
      for (const [digest, bytes] of registry.blobs) expect(storage.addBlob('app', bytes)).toBe(digest);
      registry.intercept(({ url, headers }, response) => {
        if (!redirect({ url, headers })) return false;
        response.writeHead(307, { location: `http://${storage.host}${url}` }).end();
        return true;
      });
      await pullImage(
        testRegistries({ env: homeWith(registry.host, ownAuth) }),
        freshStore(),
        parseReference(`${registry.host}/app:1`),
      );
      expect(storage.requests.length).toBeGreaterThan(0);
      expect(storage.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    },
  );

  test('of one registry are not sent to another', async () => {
    const other = await FakeRegistry.start();
    addImage(other, 'app', { layers: [gzipLayer('a', 10)] });
    const env = homeWith('127.0.0.1:1', ownAuth);
    await pullImage(testRegistries({ env }), freshStore(), parseReference(`${other.host}/app:1`));
    expect(other.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });
});

describe('login', () => {
  test('keeps the identity token that a token server gives in place of the password', async () => {
    const { registry, asked } = await tokenRegistry();
    const given = { username: 'u', password: 'p' };
    expect(await checkLogin(testRegistries(), registry.host, given)).toEqual({ identityToken: 'identity' });
    expect(asked[0]?.query.get('offline_token')).toBe('true');
  });

  test('with a wrong password fails and says so', async () => {
    const { registry } = await tokenRegistry();
    const given = { username: 'u', password: 'wrong' };
    await expect(checkLogin(testRegistries(), registry.host, given)).rejects.toMatchObject({
      code: 'REGISTRY_DENIED',
    });
  });
});
