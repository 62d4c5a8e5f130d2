import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { collectGarbage, fsck, type LocalStore, openStore } from '../../src/store/index.ts';
import { scratchFolder } from '../support/scratch.ts';

const workers = 8;
const kills = 200;
const project = fileURLToPath(new URL('../..', import.meta.url));

/** The worker as one file: starting it from TypeScript would take most of its life. */
async function bundleWorker(folder: string): Promise<string> {
  const outfile = join(folder, 'worker.mjs');
  fs.symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  await build({
    entryPoints: [join(project, 'test/system/store-kill/worker.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
  });
  return outfile;
}

/** What one worker's tags may be now: the last acknowledged state, or the one being tried when it was killed. */
type Allowed = Map<string, Set<string>>;

interface Worker {
  readonly child: ChildProcess;
  readonly output: () => string;
}

function start(script: string, ...args: readonly (string | number)[]): Worker {
  const child = spawn(process.execPath, [script, ...args.map(String)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    output += chunk;
  });
  child.stderr.on('data', (chunk) => {
    errors += chunk;
  });
  child.on('close', (code) => {
    if (code !== null && code !== 0) output += `failed ${errors}\n`;
  });
  return { child, output: () => output };
}

async function kill({ child }: Worker): Promise<void> {
  const closed = new Promise((resolve) => child.once('close', resolve));
  if (child.exitCode === null) child.kill('SIGKILL');
  await closed;
}

function learn(output: string, allowed: Allowed): void {
  for (const line of output.split('\n').slice(0, -1)) {
    const [verb = '', name = '', id = ''] = line.split(' ');
    if (verb === 'try') allowed.set(name, new Set([...(allowed.get(name) ?? ['-']), id]));
    else if (verb === 'tag') allowed.set(name, new Set([id]));
    else throw new Error(`a worker broke down: ${output.slice(-2000)}`);
  }
}

/** Nothing is damaged; after a sweep there is exactly what images and cache records need. */
async function expectSound(store: LocalStore): Promise<void> {
  const found = await fsck(store);
  expect(found.findings.filter((finding) => finding.severity === 'damage')).toEqual([]);
  // Checking leases everything: what nobody needs is free to go when the store is closed.
  store.close();
  const last = openStore({ root: store.root });
  collectGarbage(last);
  expect((await fsck(last)).findings).toEqual([]);
  const images = last.images
    .list()
    .flatMap((image) => [image.manifestDigest, image.id, ...image.config.rootfs.diff_ids]);
  const needed = new Set<string>([...images, ...last.steps.entries().map((entry) => entry.head.layer)]);
  last.close();
  const blobs = fs.readdirSync(join(store.root, 'blobs/sha256')).sort();
  expect(blobs).toEqual([...needed].map((digest) => digest.slice(7)).sort());
  expect(fs.readdirSync(join(store.root, 'tmp'))).toEqual([]);
  expect(fs.readdirSync(join(store.root, 'leases'))).toEqual([]);
}

test('200 kills of 8 processes that put, tag, load and prune lose no tag and damage nothing', async () => {
  const folder = scratchFolder();
  const script = await bundleWorker(folder);
  const root = join(folder, 'store');
  const allowed: Allowed = new Map();
  const begin = (index: number, round: number) => start(script, 'killed', root, index, round);
  const running = Array.from({ length: workers }, (_, index) => begin(index, 0));
  for (let count = 0; count < kills; count++) {
    const index = count % workers;
    const worker = running[index] as Worker;
    while (worker.output() === '' && worker.child.exitCode === null) await sleep(2);
    await sleep(Math.random() * 30);
    await kill(worker);
    learn(worker.output(), allowed);
    if (count < kills - workers) running[index] = begin(index, count + 1);
  }
  const store = openStore({ root });
  for (const [name, ids] of allowed) expect([...ids], name).toContain(store.images.find(name)?.id ?? '-');
  await expectSound(store);
});

test('8 processes that tag and sweep at once lose no tag', async () => {
  const folder = scratchFolder();
  const script = await bundleWorker(folder);
  const root = join(folder, 'store');
  const turns = 20;
  const running = Array.from({ length: workers }, (_, index) => start(script, 'tagger', root, index, turns));
  for (const { child, output } of running) {
    if (child.exitCode === null) await new Promise((resolve) => child.once('close', resolve));
    expect(output()).toBe('');
  }
  const store = openStore({ root });
  for (let turn = 0; turn < turns; turn++) {
    for (let index = 0; index < workers; index++)
      expect(store.images.find(`w${index}-${turn}`), `w${index}-${turn}`).not.toBe(null);
    expect(store.images.find(`shared-${turn}`)).not.toBe(null);
  }
  await expectSound(store);
});
