import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { HeldEntries } from '../../src/builder/remote/held-entries.ts';
import { RemoteSources } from '../../src/builder/remote/remote-sources.ts';
import { diskUsage, fsck, openStore, pruneCache } from '../../src/store/index.ts';
import { tryLock } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

async function serveHello(): Promise<string> {
  const server = createServer((_, response) => response.end('hello'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hello`;
}

function setUp() {
  const store = openStore({ root: scratchFolder() });
  onTestFinished(() => store.close());
  const sources = (now: number) =>
    new RemoteSources({
      store,
      env: {},
      credentials: { secret: () => null, sshSocket: async () => null },
      signal: new AbortController().signal,
      now: () => now,
    });
  return { store, sources };
}

test('fetched files are part of the build cache, and go when no build uses them', async () => {
  const url = await serveHello();
  const { store, sources } = setUp();
  const remote = sources(1_000_000_000_000);
  await remote.download(url);
  const [entry] = diskUsage(store).buildCache.sources;
  expect(entry).toMatchObject({ inUse: true, lastUsedMs: 1_000_000_000_000 });
  expect(entry?.name).toMatch(/^http-[0-9a-f]{40}$/);
  expect(pruneCache(store, { all: true }).sources).toEqual([]);
  remote.close();
  expect(diskUsage(store).buildCache).toMatchObject({ total: 1, active: 0 });
  expect(pruneCache(store, { untilMs: 999_999_999_999 }).sources).toEqual([]);
  const report = pruneCache(store);
  expect(report.sources.map(({ name }) => name)).toEqual([entry?.name]);
  expect(report.reclaimedBytes).toBeGreaterThan(0);
  expect(readdirSync(join(store.root, 'cache/sources'))).toEqual([]);
});

test('a store with fetched files has nothing that does not belong there', async () => {
  const url = await serveHello();
  const { store, sources } = setUp();
  const remote = sources(1);
  await remote.download(url);
  remote.close();
  const { findings } = await fsck(store);
  expect(findings).toEqual([]);
});

test('a folder that is pruned while it is opened is made again', async () => {
  const path = join(scratchFolder(), 'entry');
  mkdirSync(path);
  const pruner = openSync(path, constants.O_RDONLY);
  expect(tryLock(pruner, 'exclusive')).toBe(true);
  const held = new HeldEntries();
  onTestFinished(() => held.release());
  const making = held.make(path);
  renameSync(path, `${path}.gone`);
  closeSync(pruner);
  await making;
  expect(existsSync(path)).toBe(true);
  expect(held.hold(path)).toBe(true);
});
