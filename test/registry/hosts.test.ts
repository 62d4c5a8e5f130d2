import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { endpointsOf } from '../../src/registry/hosts/endpoint.ts';
import { readHostCertificates } from '../../src/registry/hosts/host-certificates.ts';
import {
  isInsecure,
  readRegistrySettings,
  settingsFiles,
  splitHost,
} from '../../src/registry/hosts/registry-settings.ts';
import { retryAfterMs } from '../../src/registry/http/with-retry.ts';
import { scratchFolder } from '../support/scratch.ts';

function fileWith(document: unknown): string {
  const path = join(scratchFolder(), 'config.json');
  writeFileSync(path, typeof document === 'string' ? document : JSON.stringify(document));
  return path;
}

test.each([
  ['localhost:5000', { name: 'localhost', port: '5000' }],
  ['R.Example', { name: 'r.example' }],
  ['[::1]:5000', { name: '::1', port: '5000' }],
  ['[fe80::1]', { name: 'fe80::1' }],
])('the host %s is split', (host, parts) => {
  expect(splitHost(host)).toEqual(parts);
});

test.each([
  ['127.0.0.1:5000', ['127.0.0.1'], ['127.0.0.0/8'], true],
  ['128.0.0.1', ['128.0.0.1'], ['127.0.0.0/8'], false],
  ['[::1]:5000', ['::1'], ['::1/128'], true],
  ['[::2]:5000', ['::2'], ['::1/128'], false],
  ['r.example', ['10.1.2.3'], ['10.1.0.0/16'], true],
  ['r.example', ['10.2.2.3'], ['10.1.0.0/16'], false],
  ['r.example', ['2001:db8::5'], ['2001:db8::/32'], true],
  ['r.example', ['::ffff:10.0.0.1'], ['::ffff:10.0.0.0/104'], true],
  ['r.example:5000', [], ['r.example:5000'], true],
  ['r.example:5000', [], ['r.example'], true],
  ['r.example:5000', [], ['r.example:5001'], false],
  ['r.example', [], ['http://r.example/'], true],
  ['r.example', ['10.0.0.1'], ['10.0.0.0/33', '10.0.0.0/', 'nonsense/8'], false],
])('%s with the addresses %j is insecure by %j: %s', (host, addresses, entries, expected) => {
  expect(isInsecure(host, addresses, entries)).toBe(expected);
});

describe('settings', () => {
  test("are read from Docker's daemon.json and from Cairn's own files, the user's mirrors first", async () => {
    const own = fileWith({
      mirrors: { 'docker.io': ['https://mine.example'], 'quay.io': ['http://quay.example:5000/'] },
    });
    const docker = fileWith({
      debug: true,
      'registry-mirrors': ['https://mirror.example', 'https://mine.example'],
      'insecure-registries': ['10.0.0.0/8', 'r.example:5000'],
    });
    const settings = readRegistrySettings([own, '/nonexistent/x.json', docker]);
    const urls = async (registry: string) =>
      (await endpointsOf(registry, settings)).map(({ urls: each }) => each.map(({ href }) => href));
    expect(await urls('docker.io')).toEqual([
      ['https://mine.example/'],
      ['https://mirror.example/'],
      ['https://registry-1.docker.io/'],
    ]);
    expect(await urls('quay.io')).toEqual([['http://quay.example:5000/'], ['https://quay.io/']]);
    expect(await urls('r.example:5000')).toEqual([['https://r.example:5000/', 'http://r.example:5000/']]);
    expect(await urls('10.1.2.3')).toEqual([['https://10.1.2.3/', 'http://10.1.2.3/']]);
    expect(await urls('11.1.2.3')).toEqual([['https://11.1.2.3/']]);
    expect(await urls('localhost:5000')).toEqual([['https://localhost:5000/', 'http://localhost:5000/']]);
  });

  test.each([
    ['not json'],
    [{ 'registry-mirrors': 'https://x' }],
    [{ 'registry-mirrors': ['x.example'] }],
    [{ 'registry-mirrors': ['ftp://x.example'] }],
    [{ 'registry-mirrors': ['https://user:pass@x.example'] }],
    [{ 'insecure-registries': [1] }],
    [{ mirrors: { 'quay.io': 'https://x' } }],
  ])('of the form %j are refused', (document) => {
    expect(() => readRegistrySettings([fileWith(document)])).toThrow(
      expect.objectContaining({
        code: 'REGISTRY_CONFIG_INVALID',
        message: expect.not.stringContaining('pass'),
      }),
    );
  });

  test('lie where the environment says', () => {
    expect(settingsFiles({ HOME: '/h' })).toEqual([
      '/h/.config/cairn/config.json',
      '/etc/cairn/config.json',
      '/etc/docker/daemon.json',
    ]);
    expect(settingsFiles({ HOME: '/h', XDG_CONFIG_HOME: '/x' })[0]).toBe('/x/cairn/config.json');
    expect(settingsFiles({ HOME: '/h', CAIRN_CONFIG: '/c.json' })).toEqual([
      '/c.json',
      '/etc/docker/daemon.json',
    ]);
  });
});

describe('certificates of a host', () => {
  function certs(...names: readonly string[]): string {
    const folder = scratchFolder();
    mkdirSync(join(folder, 'r.example:5000'));
    for (const name of names) writeFileSync(join(folder, 'r.example:5000', name), name);
    return folder;
  }
  const read = (folder: string) =>
    readHostCertificates('r.example:5000', {
      folders: [folder],
      env: { SSL_CERT_FILE: '/nonexistent' },
      isVerified: true,
    });

  test('are its authorities and the client pair', () => {
    expect(read(certs('a.crt', 'b.crt', 'client.cert', 'client.key', 'README'))).toEqual({
      isVerified: true,
      extraCa: ['a.crt', 'b.crt'],
      cert: 'client.cert',
      key: 'client.key',
    });
  });

  test('may be none', () => {
    expect(read('/nonexistent')).toEqual({ isVerified: true });
  });

  test.each([['client.cert'], ['client.key']])('with %s alone are refused', (name) => {
    expect(() => read(certs(name))).toThrow(expect.objectContaining({ code: 'REGISTRY_CONFIG_INVALID' }));
  });
});

test.each([
  [{ 'retry-after': '3' }, 3000],
  [{ 'retry-after': 'Tue, 24 Nov 2026 10:00:30 GMT', date: 'Tue, 24 Nov 2026 10:00:00 GMT' }, 30_000],
  [{ 'retry-after': 'Tue, 24 Nov 2026 10:00:00 GMT', date: 'Tue, 24 Nov 2026 10:00:30 GMT' }, 0],
  [{ 'retry-after': 'soon' }, null],
  [{}, null],
])('the answer %j asks for a pause of %s ms', (headers: Record<string, string>, pause) => {
  expect(retryAfterMs({ header: (name) => headers[name] })).toBe(pause);
});
