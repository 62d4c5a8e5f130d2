import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { CacheMountRequest } from '../../src/store/contracts.ts';
import {
  collectGarbage,
  diskUsage,
  fsck,
  type LocalStore,
  openStore,
  pruneCache,
} from '../../src/store/index.ts';
import type { ByteString } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

function storeAt(root: string): LocalStore {
  const store = openStore({ root, now: () => Date.now() });
  onTestFinished(() => store.close());
  return store;
}

const request = (changes: Partial<CacheMountRequest> = {}): CacheMountRequest => ({
  namespace: '',
  id: 'id',
  sharing: 'shared',
  ...changes,
});

/** Takes one cache; what it holds stays held until the test is over or `release`. */
async function take(store: LocalStore, changes: Partial<CacheMountRequest> = {}) {
  const held = await store.cacheMounts.acquire([request(changes)]);
  onTestFinished(() => held.release());
  return { path: held.paths[0] as string, release: () => held.release() };
}

const numberOf = (path: string): string => dirname(path).slice(-1);

describe('who gets which copy of a cache', () => {
  const kinds = ['shared', 'private', 'locked'] as const;
  test.each([
    ['shared', 'shared', 'the same'],
    ['shared', 'private', 'another'],
    ['shared', 'locked', 'waits'],
    ['private', 'shared', 'another'],
    ['private', 'private', 'another'],
    ['private', 'locked', 'waits'],
    ['locked', 'shared', 'another'],
    ['locked', 'private', 'another'],
    ['locked', 'locked', 'waits'],
  ] as const)('while a %s user is there, a %s one: %s', async (first, second, expected) => {
    const root = scratchFolder();
    const [one, two] = [storeAt(root), storeAt(root)];
    const held = await take(one, { sharing: first });
    if (expected !== 'waits') {
      const other = await take(two, { sharing: second });
      expect(other.path === held.path ? 'the same' : 'another').toBe(expected);
      return;
    }
    let waited = false;
    const waiting = take(two, { sharing: second });
    await sleep(30).then(() => {
      waited = true;
    });
    held.release();
    expect([waited, (await waiting).path]).toEqual([true, held.path]);
  });

  test.each(kinds)('a %s user after another gets the same files', async (sharing) => {
    const store = storeAt(scratchFolder());
    const first = await take(store, { sharing });
    writeFileSync(join(first.path, 'f'), 'kept');
    first.release();
    const second = await take(store, { sharing });
    expect([second.path, readFileSync(join(second.path, 'f'), 'utf8')]).toEqual([first.path, 'kept']);
  });

  test('private users take the first free copy', async () => {
    const store = storeAt(scratchFolder());
    const [a, b] = [await take(store, { sharing: 'private' }), await take(store, { sharing: 'private' })];
    expect([numberOf(a.path), numberOf(b.path)]).toEqual(['0', '1']);
    a.release();
    expect(numberOf((await take(store, { sharing: 'private' })).path)).toBe('0');
  });

  test('one command that mounts a cache twice gets it twice, locked or not', async () => {
    const store = storeAt(scratchFolder());
    const held = await store.cacheMounts.acquire([
      request({ sharing: 'locked' }),
      request({ id: 'other' }),
      request({ sharing: 'locked' }),
    ]);
    expect(held.paths[0]).toBe(held.paths[2]);
    expect(held.paths[1]).not.toBe(held.paths[0]);
    held.release();
    (await take(store, { sharing: 'locked' })).release();
  });

  test('users of several locked caches, named in any order, all get their turn', async () => {
    const root = scratchFolder();
    const ids = ['a', 'b', 'c', 'd'];
    const turns = Array.from({ length: 12 }, async (_, turn) => {
      const store = storeAt(root);
      const mine = [...ids.slice(turn % 4), ...ids.slice(0, turn % 4)];
      const held = await store.cacheMounts.acquire(mine.map((id) => request({ id, sharing: 'locked' })));
      await sleep(1);
      held.release();
    });
    await Promise.all(turns);
  });

  test('waiting ends when the build is cancelled, and holds nothing', async () => {
    const root = scratchFolder();
    const [one, two] = [storeAt(root), storeAt(root)];
    const held = await take(one, { sharing: 'locked' });
    const abort = new AbortController();
    const waiting = two.cacheMounts.acquire(
      [request({ id: 'free', sharing: 'locked' }), request({ sharing: 'locked' })],
      abort.signal,
    );
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow();
    held.release();
    (await take(one, { id: 'free', sharing: 'locked' })).release();
  });
});

describe('what tells caches apart', () => {
  const own = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

  test.each<[string, Partial<CacheMountRequest>]>([
    ['the id', { id: 'other' }],
    ['the namespace', { namespace: 'other' }],
    ['an id and namespace that read the same when joined', { namespace: 'i', id: 'd' }],
    ['attributes, also the usual ones', { attributes: { mode: 0o755, ...own } }],
  ])('%s', async (_, changes) => {
    const store = storeAt(scratchFolder());
    const [one, two] = [await take(store), await take(store, changes)];
    expect(two.path).not.toBe(one.path);
  });

  test('a new one is empty, 0755, or has the attributes asked for, whatever the umask', async () => {
    const store = storeAt(scratchFolder());
    const before = process.umask(0o077);
    onTestFinished(() => void process.umask(before));
    const { path } = await take(store);
    const { path: owned } = await take(store, { attributes: { mode: 0o3770, ...own } });
    expect([statSync(path).mode & 0o7777, statSync(owned).mode & 0o7777]).toEqual([0o755, 0o3770]);
    expect([readdirSync(path), readdirSync(owned)]).toEqual([[], []]);
  });

  test('one with a seed starts with its files; another seed is another cache', async () => {
    const store = storeAt(scratchFolder());
    const attributes = { mode: 0o755, ...own, mtime: 1 };
    const seeds: Awaited<ReturnType<LocalStore['layers']['write']>>[] = [];
    for (const text of ['one', 'two'])
      seeds.push(
        await store.layers.write([
          { type: 'dir', path: 'content' as ByteString, ...attributes },
          {
            type: 'file',
            path: 'content/f' as ByteString,
            ...attributes,
            mode: 0o644,
            size: 3,
            source: { kind: 'bytes', bytes: Buffer.from(text) },
          },
        ]),
      );
    const read = async (index: number) => {
      const { path, release } = await take(store, { seed: seeds[index]!.diffId });
      const text = readFileSync(join(path, 'f'), 'utf8');
      writeFileSync(join(path, 'f'), `${text}+`);
      release();
      return text;
    };
    expect([await read(0), await read(1), await read(0)]).toEqual(['one', 'two', 'one+']);
  });
});

describe('maintenance', () => {
  test('pruning takes what nobody uses and leaves what somebody does', async () => {
    const root = scratchFolder();
    const [one, two] = [storeAt(root), storeAt(root)];
    const used = await take(one, { id: 'used' });
    const idle = await take(one, { id: 'idle' });
    writeFileSync(join(used.path, 'f'), 'x'.repeat(10_000));
    writeFileSync(join(idle.path, 'f'), 'x'.repeat(10_000));
    mkdirSync(join(idle.path, 'closed'));
    chmodSync(join(idle.path, 'closed'), 0);
    idle.release();
    const report = pruneCache(two);
    expect(report.mounts.map((mount) => mount.id)).toEqual(['idle']);
    expect(report.reclaimedBytes).toBeGreaterThanOrEqual(10_000);
    expect([existsSync(used.path), existsSync(idle.path)]).toEqual([true, false]);
    const again = await take(two, { id: 'idle' });
    expect(readdirSync(again.path)).toEqual([]);
  });

  test('pruning by age and size takes the least recently used first', async () => {
    const root = scratchFolder();
    let now = Date.parse('2030-01-01T00:00:00Z');
    const store = openStore({ root, now: () => now });
    onTestFinished(() => store.close());
    for (const id of ['old', 'middle', 'new']) {
      const held = await store.cacheMounts.acquire([request({ id })]);
      writeFileSync(join(held.paths[0] as string, 'f'), 'x'.repeat(100_000));
      held.release();
      now += 3_600_000;
    }
    const ids = (options: Parameters<typeof pruneCache>[1]) =>
      pruneCache(store, options).mounts.map((mount) => mount.id);
    expect(ids({ untilMs: now - 5 * 3_600_000 })).toEqual([]);
    expect(ids({ keepStorageBytes: 250_000 })).toEqual(['old']);
    expect(ids({ untilMs: now - 1.5 * 3_600_000 })).toEqual(['middle']);
    expect(ids({})).toEqual(['new']);
  });

  test('disk usage counts caches, and says which are in use', async () => {
    const root = scratchFolder();
    const [one, two] = [storeAt(root), storeAt(root)];
    const used = await take(one, { namespace: 'n', id: 'used' });
    writeFileSync(join(used.path, 'f'), 'x'.repeat(100_000));
    (await take(one, { id: 'idle' })).release();
    const { buildCache } = diskUsage(two);
    const shown = buildCache.mounts.map(({ namespace, id, inUse }) => [namespace, id, inUse]);
    expect(shown.sort()).toEqual([
      ['', 'idle', false],
      ['n', 'used', true],
    ]);
    expect([buildCache.total, buildCache.active]).toEqual([2, 1]);
    expect(buildCache.sizeBytes - buildCache.reclaimableBytes).toBeGreaterThanOrEqual(100_000);
  });

  test('gc and fsck leave caches alone, also one whose making was cut off', async () => {
    const root = scratchFolder();
    const store = storeAt(root);
    const held = await take(store);
    writeFileSync(join(held.path, 'f'), 'kept');
    held.release();
    const folder = dirname(dirname(held.path));
    // Killed between taking the lock of a new copy and putting the copy in place.
    writeFileSync(join(folder, '1.lock'), '');
    rmSync(join(folder, 'about.json'));
    collectGarbage(store);
    expect((await fsck(store)).findings).toEqual([]);
    const [a, b] = [await take(store, { sharing: 'private' }), await take(store, { sharing: 'private' })];
    expect([readFileSync(join(a.path, 'f'), 'utf8'), numberOf(b.path)]).toEqual(['kept', '1']);
  });
});
