import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type DiffId, type Digest, parseReference } from '../../src/oci/index.ts';
import { pullImage, pushImage, type TransferEvent } from '../../src/registry/index.ts';
import { collectGarbage, fsck, type LocalStore } from '../../src/store/index.ts';
import { rawTar } from '../support/raw-tar.ts';
import { digestOf, errorBody, FakeRegistry } from './support/fake-registry.ts';
import { freshStore, testRegistries } from './support/registries.ts';
import { addImage, gzipLayer, kinds } from './support/remote-image.ts';

/** An image of new layers, each a file of that many bytes. */
async function build(
  store: LocalStore,
  name: string,
  ...sizes: readonly number[]
): Promise<readonly Buffer[]> {
  const tars = sizes.map((size, at) => rawTar([{ name: `f${at}`, body: randomBytes(size) }]));
  const diffIds: DiffId[] = [];
  for (const tar of tars) diffIds.push((await store.layers.adopt(once(tar))).diffId);
  const { manifestDigest } = store.images.put({
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  store.images.tag(manifestDigest, [parseReference(name)]);
  return tars;
}

async function* once(bytes: Uint8Array) {
  yield bytes;
}

function push(store: LocalStore, name: string, options: Parameters<typeof pushImage>[3] = {}) {
  return pushImage(testRegistries(), store, parseReference(name), options);
}

function manifestOf(registry: FakeRegistry, name: string) {
  const found = registry.manifests.get(name)!;
  return {
    type: found.type,
    ...(JSON.parse(found.bytes.toString()) as {
      layers: { digest: string; size: number; mediaType: string }[];
    }),
  };
}

describe('a pushed image', () => {
  test('has compressed layers, and is known in the store by its digest there', async () => {
    const registry = await FakeRegistry.start();
    const store = freshStore();
    const tars = await build(store, `${registry.host}/app:1`, 100, 3 << 20);
    const events: TransferEvent[] = [];
    const { digest, size } = await push(store, `${registry.host}/app:1`, {
      onEvent: (event) => events.push(event),
    });
    const { layers, type } = manifestOf(registry, 'app:1');
    expect(type).toBe(kinds.oci.manifest);
    expect(layers.map(({ mediaType }) => mediaType)).toEqual([kinds.oci.gzip, kinds.oci.gzip]);
    expect(
      layers.map(({ digest: blob }) => gunzipSync(registry.blobs.get(blob)!).equals(tars[0]!)),
    ).toContain(true);
    expect(digestOf(gunzipSync(registry.blobs.get(layers[1]!.digest)!))).toBe(digestOf(tars[1]!));
    expect(store.images.get(`${registry.host}/app:1`).repoDigests).toEqual([
      `${registry.host}/app@${digest}`,
    ]);
    expect(events.at(-1)).toEqual({ type: 'pushed', tag: '1', digest, size });
    expect((await fsck(store, {})).findings).toEqual([]);
  });

  test('comes back with another store as the same image', async () => {
    const registry = await FakeRegistry.start();
    const store = freshStore();
    const name = `${registry.host}/app:1`;
    await build(store, name, 100_000);
    const { digest } = await push(store, name);
    const pulled = await pullImage(testRegistries(), freshStore(), parseReference(name));
    expect(pulled.digest).toBe(digest);
    expect(pulled.record.id).toBe(store.images.get(name).id);
  });

  test('is compressed once: the second push sends nothing and compresses nothing', async () => {
    const registry = await FakeRegistry.start();
    const store = freshStore();
    const name = `${registry.host}/app:1`;
    await build(store, name, 100_000, 5);
    await push(store, name);
    registry.requests.length = 0;
    const statuses: string[] = [];
    await push(store, name, { onEvent: (event) => event.type === 'blob' && statuses.push(event.status) });
    expect(new Set(statuses)).toEqual(new Set(['waiting', 'exists']));
    expect(registry.log.filter((line) => /^(POST|PATCH)/.test(line))).toEqual([]);
  });

  test.each(['oci', 'docker'] as const)(
    'that was pulled (%s) goes on with the very bytes it had',
    async (kind) => {
      const [from, to] = [await FakeRegistry.start(), await FakeRegistry.start()];
      const image = addImage(from, 'app', { layers: [gzipLayer('a', 70_000, kind)], kind });
      const store = freshStore();
      const { record } = await pullImage(testRegistries(), store, parseReference(`${from.host}/app:1`));
      store.images.tag(record.manifestDigest, [parseReference(`${to.host}/other/app:2`)]);
      const { digest } = await push(store, `${to.host}/other/app:2`);
      expect(digest).toBe(image.digest);
      expect(to.manifests.get('other/app:2')).toEqual(from.manifests.get('app:1'));
    },
  );

  test('on a pulled base keeps the bytes of the base, and has them mounted', async () => {
    const registry = await FakeRegistry.start();
    const base = addImage(registry, 'base', { layers: [gzipLayer('a', 70_000)] });
    const store = freshStore();
    const { record } = await pullImage(testRegistries(), store, parseReference(`${registry.host}/base:1`));
    const { diffId } = await store.layers.adopt(once(rawTar([{ name: 'mine', body: 'x' }])));
    const config = {
      ...record.config,
      rootfs: { type: 'layers' as const, diff_ids: [...record.config.rootfs.diff_ids, diffId] },
    };
    store.images.tag(store.images.put(config).manifestDigest, [parseReference(`${registry.host}/app:1`)]);
    registry.requests.length = 0;
    const mounted: (string | undefined)[] = [];
    await push(store, `${registry.host}/app:1`, {
      onEvent: (event) => event.type === 'blob' && event.status === 'mounted' && mounted.push(event.from),
    });
    expect(manifestOf(registry, 'app:1').layers[0]?.digest).toBe(base.layerDigests[0]);
    expect(mounted).toEqual(['base']);
    expect(registry.log.filter((line) => line.startsWith('PATCH'))).toHaveLength(2);
  });

  test('with zstd is read by the zstd program, and both forms are remembered', async () => {
    const registry = await FakeRegistry.start();
    const store = freshStore();
    const name = `${registry.host}/app:1`;
    const [tar] = await build(store, name, 3 << 20);
    await push(store, name, { compression: 'zstd' });
    const [layer] = manifestOf(registry, 'app:1').layers;
    expect(layer?.mediaType).toBe(kinds.oci.zstd);
    const program = spawnSync('zstd', ['-dcq'], {
      input: registry.blobs.get(layer!.digest),
      maxBuffer: 1 << 28,
    });
    if (program.status === 0) expect(digestOf(program.stdout)).toBe(digestOf(tar!));
    await push(store, name, { compression: 'gzip' });
    expect(store.forms.get(digestOf(tar!) as DiffId).map(({ compression }) => compression)).toEqual([
      'gzip',
      'zstd',
    ]);
  });

  test('whose compressed layers are gone is pushed when the registry still has them', async () => {
    const registry = await FakeRegistry.start();
    const store = freshStore();
    const name = `${registry.host}/app:1`;
    const [tar] = await build(store, name, 100_000);
    const { digest } = await push(store, name);
    store.images.untag(parseReference(`${registry.host}/app@${digest}`));
    store.close();
    collectGarbage(store);
    const form = store.forms.get(digestOf(tar!) as DiffId)[0]!;
    expect(store.blobs.has(form.digest)).toBe(false);
    const statuses: string[] = [];
    const again = await push(store, name, {
      onEvent: (event) => event.type === 'blob' && statuses.push(event.status),
    });
    expect(again.digest).toBe(digest);
    expect(statuses).not.toContain('compressing');
    expect((await fsck(store, {})).findings).toEqual([]);
  });
});

describe('a list of platforms', () => {
  test('is pushed with all of its images, and one of them alone', async () => {
    const registry = await FakeRegistry.start();
    const store = freshStore();
    const members = [];
    for (const architecture of ['amd64', 'arm64']) {
      const { diffId } = await store.layers.adopt(once(rawTar([{ name: architecture, body: 'x' }])));
      const { manifestDigest } = store.images.put({
        architecture,
        os: 'linux',
        rootfs: { type: 'layers', diff_ids: [diffId] },
      });
      members.push({ manifestDigest, platform: { os: 'linux', architecture } });
    }
    const index = store.images.putIndex(members);
    store.images.tag(index, [parseReference(`${registry.host}/app:1`)]);
    const { digest } = await push(store, `${registry.host}/app:1`);
    const list = JSON.parse(registry.manifests.get('app:1')!.bytes.toString()) as {
      manifests: { digest: string; platform: object }[];
    };
    expect(list.manifests.map(({ platform }) => platform)).toEqual(members.map(({ platform }) => platform));
    for (const each of list.manifests)
      expect(manifestOf(registry, `app@${each.digest}`).layers[0]?.mediaType).toBe(kinds.oci.gzip);
    for (const architecture of ['amd64', 'arm64']) {
      const platform = { os: 'linux', architecture };
      const { record, digest: pulled } = await pullImage(
        testRegistries(),
        freshStore(),
        parseReference(`${registry.host}/app:1`),
        { platform },
      );
      expect(pulled).toBe(digest);
      expect(record.config.architecture).toBe(architecture);
    }
    const alone = await push(store, `${registry.host}/app:1`, {
      platform: { os: 'linux', architecture: 'arm64' },
    });
    expect(list.manifests.map((each) => each.digest)).toContain(alone.digest);
    expect((await fsck(store, {})).findings).toEqual([]);
  });
});

describe('a registry that fails', () => {
  test('by cutting an upload is asked what has arrived, and gets the rest', async () => {
    let cut = 0;
    const registry = await FakeRegistry.start({
      intercept: ({ method }, response) => {
        // After some of the body has been taken in.
        if (method === 'PATCH' && cut++ < 2) setTimeout(() => response.destroy(), 20);
        return false;
      },
    });
    const store = freshStore();
    const name = `${registry.host}/app:1`;
    await build(store, name, 8 << 20);
    await push(store, name);
    expect(manifestOf(registry, 'app:1').layers).toHaveLength(1);
  });

  test('but has kept the blob when the answer was lost counts as done', async () => {
    const registry = await FakeRegistry.start({
      intercept: ({ method, url }, response) => {
        if (method !== 'PUT' || !url.includes('/uploads/')) return false;
        response.end = (() => response.destroy()) as typeof response.end;
        return false;
      },
    });
    const store = freshStore();
    const name = `${registry.host}/app:1`;
    await build(store, name, 100);
    await push(store, name);
    expect(registry.manifests.has('app:1')).toBe(true);
  });

  test.each([
    [
      403,
      errorBody('DENIED', 'requested access to the resource is denied'),
      'REGISTRY_DENIED',
      'denied: requested access to the resource is denied',
    ],
    [507, '<html>', 'REGISTRY_FAILED', 'answered 507'],
    [413, '', 'REGISTRY_FAILED', 'answered 413'],
  ])('with %i says so', async (status, body, code, message) => {
    const registry = await FakeRegistry.start({
      intercept: ({ method }, response) => {
        if (method !== 'POST') return false;
        response.writeHead(status).end(body);
        return true;
      },
    });
    const store = freshStore();
    const name = `${registry.host}/app:1`;
    await build(store, name, 10);
    await expect(push(store, name)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
    expect(store.images.get(name).repoDigests).toEqual([]);
  });

  test('by storing something else is found out', async () => {
    const registry = await FakeRegistry.start({
      intercept: ({ method, url }, response) => {
        if (method !== 'PUT' || !url.includes('/manifests/')) return false;
        response.writeHead(201, { 'docker-content-digest': `sha256:${'0'.repeat(64)}` }).end();
        return true;
      },
    });
    const store = freshStore();
    await build(store, `${registry.host}/app:1`, 10);
    await expect(push(store, `${registry.host}/app:1`)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  test('and a name that the store lacks are told apart', async () => {
    await expect(push(freshStore(), '127.0.0.1:1/app:1')).rejects.toMatchObject({
      code: 'IMAGE_NOT_FOUND',
      message: 'An image does not exist locally with the tag: 127.0.0.1:1/app:1',
    });
  });
});

test('a digest in the store names the compressed bytes of every later push', async () => {
  const store = freshStore();
  const tar = rawTar([{ name: 'constant', body: Buffer.alloc(2_500_000, 'cairn ') }]);
  const { diffId } = await store.layers.adopt(once(tar));
  const digests: Digest[] = [];
  for (const compression of ['gzip', 'zstd'] as const) {
    const writer = store.blobs.create();
    for await (const chunk of store.layers.compressed(diffId, compression)) writer.write(chunk);
    digests.push(writer.commit().digest);
  }
  // Pinned: another value means that the compressor's package, level or block size has changed, and with it every digest.
  expect(digests).toMatchInlineSnapshot(`
    [
      "sha256:3e2dd13c742c79ae7b8e999f4d70b1504f9c31079c2e8a277c234fe7bc057ab3",
      "sha256:60fa95ce3174e3874cceb19b4869b037a7f76ef7ec7181662b779d7cf5cd33f0",
    ]
  `);
});
