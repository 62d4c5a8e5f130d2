import { spawnSync } from 'node:child_process';
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  type BuildResult,
  build,
  type CacheSource,
  type CacheTarget,
  RemoteCache,
} from '../../src/builder/index.ts';
import { hostPlatform, parseReference } from '../../src/oci/index.ts';
import { pushImage } from '../../src/registry/index.ts';
import { fsck, importImage, type LocalStore } from '../../src/store/index.ts';
import { baseImages, baseTar } from '../compare/base-images.ts';
import { realRegistry } from '../registry/support/real-registry.ts';
import { freshStore, testRegistries } from '../registry/support/registries.ts';
import { type CountingProxy, countingProxy } from '../support/counting-proxy.ts';
import { scratchFolder } from '../support/scratch.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const dockerfile = [
  'FROM base AS tool',
  'COPY input /in',
  'RUN head -c 300000 /dev/zero > /big && cp /in /tool',
  'FROM base',
  'COPY --from=tool /tool /usr/tool',
  'RUN echo end > /end',
].join('\n');

/** A builder with an empty store that has the base, and the caches that it uses. */
class Machine {
  readonly store: LocalStore = freshStore();
  readonly registries = testRegistries();
  readonly notes: string[] = [];
  readonly executed: string[] = [];
  cached = 0;

  static async start(): Promise<Machine> {
    const machine = new Machine();
    const busybox = baseImages.find((base) => base.file === 'busybox.tar');
    if (busybox === undefined) throw new Error('there is no busybox');
    await importImage(machine.store, createReadStream(baseTar(busybox)), {
      reference: parseReference('base'),
      config: {},
      message: '',
      created: '1970-01-01T00:00:00Z',
      platform: hostPlatform(),
    });
    return machine;
  }

  async build(
    input: string,
    options: {
      readonly from?: readonly CacheSource[];
      readonly to?: readonly CacheTarget[];
      readonly push?: string;
      readonly text?: string;
    },
  ): Promise<BuildResult> {
    const context = scratchFolder();
    writeFileSync(join(context, 'input'), input);
    const abort = new AbortController();
    const remoteCache = new RemoteCache({
      store: this.store,
      sources: options.from ?? [],
      targets: options.to ?? [],
      registries: async () => this.registries,
      onNote: (note) => this.notes.push(note),
      signal: abort.signal,
    });
    this.executed.length = 0;
    const names = new Map<number, string>();
    const result = await build({
      store: this.store,
      context: { kind: 'dir', path: context },
      dockerfile: { kind: 'text', name: 'Dockerfile', text: options.text ?? dockerfile },
      hostEnv: { PATH: process.env.PATH },
      tags: [parseReference(options.push ?? 'app:1')],
      now: () => Date.now(),
      remoteCache,
      onEvent: (event) => {
        if (event.type === 'plan') for (const step of event.steps) names.set(step.id, step.name);
        if (event.type === 'step-end' && !event.cached) this.executed.push(names.get(event.id) ?? '');
      },
    });
    const pushed = [];
    if (options.push !== undefined) {
      const reference = parseReference(options.push);
      const { descriptor } = await pushImage(this.registries, this.store, reference);
      pushed.push({ reference, descriptor });
    }
    await remoteCache.export(pushed);
    return result;
  }
}

const registrySource = (name: string): CacheSource => ({ kind: 'registry', reference: parseReference(name) });
const registryTarget = (name: string, mode: 'min' | 'max'): CacheTarget => ({
  kind: 'registry',
  reference: parseReference(name),
  mode,
  compression: 'gzip',
  ignoreError: false,
});

describe('a remote cache', () => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('docker-registry')));
  let proxy: CountingProxy;
  let name = '';
  let count = 0;

  beforeAll(async () => {
    if (firstOf(unlessRoot(), unlessInstalled('docker-registry'))) return;
    proxy = await countingProxy((await realRegistry()).host);
  });
  beforeEach(() => {
    if (!proxy) return;
    name = `${proxy.host}/cache/${++count}:latest`;
    proxy.damage(() => false);
    proxy.take();
  });

  test('of all stages spares an empty machine every step and every layer that its image has not', async () => {
    const first = await Machine.start();
    const made = await first.build('a', { to: [registryTarget(name, 'max')] });
    const second = await Machine.start();
    proxy.take();
    const found = await second.build('a', { from: [registrySource(name)] });
    expect(second.executed).toEqual([]);
    expect(found.imageId).toBe(made.imageId);
    expect(found.manifestDigest).toBe(made.manifestDigest);
    // Config of the cache, tables of the stage that is copied from, and the two layers of the image: not those of the stage.
    const layers = second.store.images.get('app:1').config.rootfs.diff_ids;
    expect(layers.every((layer) => second.store.blobs.has(layer))).toBe(true);
    const stageLayers = first.store.steps.entries().map(({ head }) => head.layer);
    expect(stageLayers.filter((layer) => !layers.includes(layer)).length).toBeGreaterThan(0);
    for (const layer of stageLayers)
      if (!layers.includes(layer)) expect(second.store.blobs.has(layer)).toBe(false);
    expect((await fsck(second.store)).findings).toEqual([]);
    // What came in is known without the cache from now on, as far as layers are here.
    await second.build('a', { from: [registrySource(name)] });
    expect(second.executed).toEqual([]);
  });

  test('of the image alone names the steps of other stages, and does them again when their files are needed', async () => {
    const first = await Machine.start();
    const made = await first.build('a', { to: [registryTarget(name, 'min')] });
    const second = await Machine.start();
    expect((await second.build('a', { from: [registrySource(name)] })).imageId).toBe(made.imageId);
    expect(second.executed).toEqual([]);
    const third = await Machine.start();
    const text = dockerfile.replace('/usr/tool', '/usr/other');
    const other = await third.build('a', { from: [registrySource(name)], text });
    expect(third.executed).toContain('COPY --from=tool /tool /usr/other');
    expect(third.executed).toContain('RUN head -c 300000 /dev/zero > /big && cp /in /tool');
    expect(other.imageId).toBe((await first.build('a', { text })).imageId);
    expect(third.notes).toEqual([]);
  });

  test('fetches the layers that a changed step needs, and no others', async () => {
    const first = await Machine.start();
    await first.build('a', { to: [registryTarget(name, 'max')] });
    const second = await Machine.start();
    const text = dockerfile.replace('echo end', 'echo other end');
    const changed = await second.build('a', { from: [registrySource(name)], text });
    expect(second.executed).toEqual(['RUN echo other end > /end']);
    expect(changed.imageId).toBe((await first.build('a', { text })).imageId);
  });

  test('costs one look and no write when nothing changed', async () => {
    const machine = await Machine.start();
    await machine.build('a', { to: [registryTarget(name, 'max')] });
    proxy.take();
    await machine.build('a', { to: [registryTarget(name, 'max')] });
    expect(proxy.take().filter((line) => !line.startsWith('GET '))).toEqual([]);
  });

  test('keeps the records of writers who write at once', async () => {
    const machines = await Promise.all([1, 2, 3].map(() => Machine.start()));
    await Promise.all(
      machines.map((machine, at) => machine.build(`${at}`, { to: [registryTarget(name, 'max')] })),
    );
    const last = await Machine.start();
    for (const at of machines.keys()) {
      await last.build(`${at}`, { from: [registrySource(name)] });
      expect(last.executed).toEqual([]);
    }
  });

  test('whose layers are damaged counts as having none: steps are executed, and the damage is told', async () => {
    const first = await Machine.start();
    const made = await first.build('a', { to: [registryTarget(name, 'max')] });
    const manifest = JSON.parse(
      await (
        await fetch(`http://${name.replace('/cache', '/v2/cache').replace(':latest', '')}/manifests/latest`, {
          headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
        })
      ).text(),
    ) as { layers: { digest: string; mediaType: string }[] };
    const damaged = manifest.layers.filter((layer) => layer.mediaType.includes('tar+gzip'));
    proxy.damage((path) => damaged.some(({ digest }) => path.endsWith(digest)));
    const second = await Machine.start();
    const found = await second.build('a', { from: [registrySource(name)] });
    expect(found.imageId).toBe(made.imageId);
    expect(second.executed.length).toBeGreaterThan(0);
    expect(second.notes.join('\n')).toContain('cannot be used');
    expect((await fsck(second.store)).findings).toEqual([]);
  });

  test('beside an image changes nothing about it and serves who names the image', async () => {
    const first = await Machine.start();
    const image = `${proxy.host}/app/${count}:1`;
    await first.build('a', { push: image });
    const before = first.store.images.get(image).repoDigests;
    await first.build('a', { push: image, to: [{ kind: 'inline', ignoreError: false }] });
    expect(first.store.images.get(image).repoDigests).toEqual(before);
    const second = await Machine.start();
    await second.build('a', { from: [registrySource(image)] });
    expect(second.executed).toEqual([]);
    expect(second.notes).toEqual([]);
  });

  test('does not take the place of an image', async () => {
    const machine = await Machine.start();
    const image = `${proxy.host}/app/${count}:1`;
    await machine.build('a', { push: image });
    await expect(machine.build('a', { to: [registryTarget(image, 'min')] })).rejects.toMatchObject({
      code: 'CACHE_INVALID',
    });
    await machine.build('a', { to: [{ ...registryTarget(image, 'min'), ignoreError: true }] });
    expect(machine.notes.join('\n')).toContain('was not exported');
  });

  test('that is not there stops nothing', async () => {
    const machine = await Machine.start();
    await machine.build('a', { from: [registrySource(name), registrySource('127.0.0.1:1/no:1')] });
    expect([...machine.notes].sort().join('\n')).toMatch(/cannot be used.*there is no cache at/s);
  });

  test('in a folder is an OCI layout that another machine builds from', async () => {
    const path = join(scratchFolder(), 'cache');
    const first = await Machine.start();
    const to: CacheTarget = {
      kind: 'local',
      path,
      tag: 'latest',
      mode: 'max',
      compression: 'zstd',
      ignoreError: false,
    };
    const made = await first.build('a', { to: [to] });
    const index = readFileSync(join(path, 'index.json'), 'utf8');
    await first.build('a', { to: [to] });
    expect(readFileSync(join(path, 'index.json'), 'utf8')).toBe(index);
    const raw = spawnSync('skopeo', ['inspect', '--raw', `oci:${path}:latest`], { encoding: 'utf8' });
    if (raw.error === undefined) {
      expect(raw.stderr).toBe('');
      expect(raw.stdout).toContain('application/vnd.cairn.cache.v1+json');
    }
    const second = await Machine.start();
    const found = await second.build('a', { from: [{ kind: 'local', path, tag: 'latest' }] });
    expect(second.executed).toEqual([]);
    expect(found.imageId).toBe(made.imageId);
  });
});
