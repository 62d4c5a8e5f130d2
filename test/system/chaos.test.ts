import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { call, mustCall } from '../compare/engine.ts';
import { temporaryFolder } from '../compare/fixture.ts';
import { readLayout, storeForFile, type TestStore, withBases } from '../support/image-store.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

const kills = 200;
const kinds = 5;
const work = temporaryFolder('cairn-chaos-');
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe('killing cairn with SIGKILL at any instant', () => {
  skipBecause(unlessRoot());
  const store = storeForFile();

  test(`${kills} times during build, load, tag and prune: the next command works, no tag is lost, nothing is left behind`, async () => {
    prepare(store);
    const random = generator(20_240_607);
    const tagged = new Set(['kept:latest']);
    // How long each kind of command takes undisturbed, so that kills hit every part of its life.
    const durations = new Map<number, number>();
    for (let round = 0, killed = 0; killed < kills; round++) {
      const [words, tag] = operation(round);
      const kind = round % kinds;
      const began = performance.now();
      const child = start(store, words);
      const ended = exitOf(child);
      const duration = durations.get(kind);
      const timer = duration && setTimeout(() => child.kill('SIGKILL'), random() * duration);
      const status = await ended;
      clearTimeout(timer);
      if (duration === undefined) durations.set(kind, performance.now() - began);
      if (status === null) killed++;
      else expect(status).toBe(0);
      if (status === 0 && tag !== undefined) tagged.add(tag);
      if (round % 10 === 9) expectTags(store, tagged);
    }
    await expectIntact(store, tagged);
  }, 900_000);
});

describe('eight processes on one store', () => {
  skipBecause(unlessRoot());
  const store = storeForFile();

  test('build, tag, load and prune at once: all succeed, no tag is lost', async () => {
    prepare(store);
    const tagged = new Set(['kept:latest']);
    const worker = async (number: number) => {
      for (let round = 0; round < 8; round++) {
        const [words, tag] = operation(number * 100 + round);
        const { status, stderr } = await finished(start(store, words));
        expect({ words, status, stderr: status === 0 ? '' : stderr }).toEqual({
          words,
          status: 0,
          stderr: '',
        });
        if (tag !== undefined) tagged.add(tag);
      }
    };
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(worker));
    await expectIntact(store, tagged);
  }, 600_000);
});

/** A store with a base image, a tag that must survive, an archive to load and a context to build. */
function prepare(store: TestStore): void {
  withBases(store, 'busybox:latest');
  const context = join(work, 'context');
  if (!existsSync(context)) {
    mkdirSync(join(context, 'files'), { recursive: true });
    for (let i = 0; i < 40; i++) writeFileSync(join(context, 'files', `file-${i}`), `${i}\n`.repeat(8000));
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM busybox\nARG N\nLABEL n=$N\nCOPY files /files\nCOPY <<EOT /n\n$N\nEOT\nRUN rm /files/file-1 && echo $N > /run-$N\n',
    );
  }
  mustCall(store, ['build', '-q', '-t', 'kept:latest', '--build-arg', 'N=kept', '.'], { cwd: context });
  const archive = join(work, 'kept.tar');
  if (!existsSync(archive)) mustCall(store, ['save', '-o', archive, 'kept:latest']);
}

/** Command number `n` of the mix, and the tag that exists once it has succeeded. */
function operation(n: number): [words: string[], tag?: string] {
  const context = join(work, 'context');
  switch (n % kinds) {
    case 0:
      return [
        ['build', '-q', '-t', `built-${n}:latest`, '--build-arg', `N=${n}`, context],
        `built-${n}:latest`,
      ];
    case 1:
      return [['load', '-i', join(work, 'kept.tar')], 'kept:latest'];
    case 2:
      return [['tag', 'kept:latest', `tagged-${n}:latest`], `tagged-${n}:latest`];
    case 3:
      // The same tag again and again: its old image is left untagged, for prune to take.
      return [
        ['build', '-q', '-t', 'moving:latest', '--build-arg', `N=moving-${n}`, context],
        'moving:latest',
      ];
    default:
      return [n % 10 === 4 ? ['image', 'prune', '-f'] : ['builder', 'prune', '-f']];
  }
}

function start(store: TestStore, words: readonly string[]): ChildProcess {
  return spawn(store.command[0]!, [...store.command.slice(1), ...words], {
    env: { ...process.env, ...store.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

function exitOf(child: ChildProcess): Promise<number | null> {
  child.stderr?.resume();
  return new Promise((resolve) => child.once('exit', (code) => resolve(code)));
}

async function finished(child: ChildProcess): Promise<{ status: number | null; stderr: string }> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  return { status: await new Promise((resolve) => child.once('close', (code) => resolve(code))), stderr };
}

function expectTags(store: TestStore, tagged: ReadonlySet<string>): void {
  const listed = mustCall(store, ['images', '--format', '{{.Repository}}:{{.Tag}}']).trim().split('\n');
  expect([...tagged].filter((tag) => !listed.includes(tag))).toEqual([]);
}

async function expectIntact(store: TestStore, tagged: ReadonlySet<string>): Promise<void> {
  expectTags(store, tagged);
  expect(call(store, ['fsck'])).toMatchObject({ status: 0 });
  // A killed build's processes die with it, at the latest when the kernel has torn its namespaces down.
  await expect.poll(() => processesUsing(store.root), { timeout: 5000 }).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(store.root);

  mustCall(store, ['builder', 'prune', '-a', '-f']);
  mustCall(store, ['image', 'prune', '-f']);
  const layout = readLayout(store.root);
  expect([...layout.referenced].filter((digest) => !layout.present.has(digest))).toEqual([]);
  expect([...layout.present].filter((digest) => !layout.referenced.has(digest))).toEqual([]);
  expect(readdirSync(join(store.root, 'tmp'))).toEqual([]);
  expectTags(store, tagged);
  expect(call(store, ['fsck'])).toMatchObject({ status: 0 });
  for (const tag of [...tagged].slice(0, 5)) {
    expect(mustCall(store, ['run', '--rm', '--network', 'none', tag, 'cat', '/n']).trim()).not.toBe('');
  }
}

/** Processes whose command line or working folder names the store. */
function processesUsing(root: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(root);
    } catch {
      return false;
    }
  });
}

/** Numbers in [0, 1), the same for the same seed: a failure can be repeated. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
