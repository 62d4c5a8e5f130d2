import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type DiffId, type Digest, parsePlatform, parseReference } from '../../src/oci/index.ts';
import { pullImage, type Registries } from '../../src/registry/index.ts';
import { fsck, type LocalStore } from '../../src/store/index.ts';
import { blockCompressor } from '../../src/sys/index.ts';
import { rawTar } from '../support/raw-tar.ts';
import { scratchFolder } from '../support/scratch.ts';
import { digestOf, errorBody, FakeRegistry, type FakeRegistryOptions } from './support/fake-registry.ts';
import { freshStore, testRegistries } from './support/registries.ts';
import { addImage, gzipLayer, kinds, type RemoteLayer } from './support/remote-image.ts';

const linux = (text: string) => parsePlatform(text, { os: 'linux', architecture: 'amd64' });

async function pull(
  registry: FakeRegistry,
  name = 'app:1',
  store = freshStore(),
  registries = testRegistries(),
) {
  return { ...(await pullImage(registries, store, parseReference(`${registry.host}/${name}`))), store };
}

/** Nothing of a failed pull can be found under a name, and what is in blobs/ is whole. */
async function expectNoImage(store: LocalStore): Promise<void> {
  expect(store.images.list()).toEqual([]);
  const report = await fsck(store, {});
  expect(report.findings.filter(({ severity }) => severity === 'damage')).toEqual([]);
}

function blobNames(store: LocalStore): readonly string[] {
  try {
    return readdirSync(join(store.root, 'blobs/sha256'));
  } catch {
    return [];
  }
}

describe('a pulled image', () => {
  test.each(['oci', 'docker'] as const)(
    'of %s media types keeps manifest, config and compressed bytes, and has its layers',
    async (kind) => {
      const registry = await FakeRegistry.start();
      const layers = [gzipLayer('a', 5000, kind), gzipLayer('b', 3 << 20, kind)];
      const image = addImage(registry, 'app', { layers, kind });
      const { record, digest, isNew, store } = await pull(registry);
      expect(digest).toBe(image.digest);
      expect(isNew).toBe(true);
      expect(record.id).toBe(image.configDigest);
      expect(record.tags).toEqual([`${registry.host}/app:1`]);
      expect(record.repoDigests).toEqual([`${registry.host}/app@${image.digest}`]);
      for (const [at, layer] of layers.entries()) {
        expect(store.blobs.has(image.layerDigests[at] as Digest)).toBe(true);
        expect(store.layers.toc(digestOf(layer.tar) as DiffId).entries).toHaveLength(1);
      }
      expect(store.blobs.readText(image.digest as Digest)).toBe(
        registry.manifests.get('app:1')?.bytes.toString(),
      );
      expect((await fsck(store, {})).findings).toEqual([]);
    },
  );

  test('may have layers with gzip, with zstd and without compression, in one image', async () => {
    const registry = await FakeRegistry.start();
    const tars = ['x', 'y'].map((name) => rawTar([{ name, body: Buffer.alloc(70_000, name) }]));
    const zstd = await blockCompressor('zstd');
    const layers: RemoteLayer[] = [
      gzipLayer('a', 10),
      { tar: tars[0]!, bytes: tars[0]!, type: kinds.oci.layer },
      { tar: tars[1]!, bytes: Buffer.from(zstd(tars[1]!)), type: kinds.oci.zstd },
    ];
    addImage(registry, 'app', { layers });
    const { record, store } = await pull(registry);
    expect([...store.layers.tree(record.config.rootfs.diff_ids).walk()].map(([path]) => path)).toEqual([
      'a',
      'x',
      'y',
    ]);
  });

  test('is found by digest, without a tag', async () => {
    const registry = await FakeRegistry.start();
    const image = addImage(registry, 'app', { layers: [gzipLayer('a', 10)] });
    const { record, store } = await pull(registry, `app@${image.digest}`);
    expect(record.tags).toEqual([]);
    expect(store.images.get(`${registry.host}/app@${image.digest}`).id).toBe(image.configDigest);
  });

  test('is up to date the second time, and asks for no blob', async () => {
    const registry = await FakeRegistry.start();
    addImage(registry, 'app', { layers: [gzipLayer('a', 10)] });
    const { store } = await pull(registry);
    registry.requests.length = 0;
    expect((await pull(registry, 'app:1', store)).isNew).toBe(false);
    expect(registry.log).toEqual(['GET /v2/app/manifests/1']);
  });

  test('takes what the store has from other images', async () => {
    const registry = await FakeRegistry.start();
    const base = gzipLayer('a', 10);
    addImage(registry, 'base', { layers: [base] });
    const image = addImage(registry, 'app', { layers: [base, gzipLayer('b', 20)] });
    const { store } = await pull(registry, 'base:1');
    registry.requests.length = 0;
    await pull(registry, 'app:1', store);
    expect(registry.log.filter((line) => line.includes('/blobs/'))).toEqual([
      `GET /v2/app/blobs/${image.configDigest}`,
      `GET /v2/app/blobs/${image.layerDigests[1]}`,
    ]);
  });

  test('with a layer that occurs twice fetches it once', async () => {
    const registry = await FakeRegistry.start();
    const layer = gzipLayer('a', 10);
    addImage(registry, 'app', { layers: [layer, layer] });
    const { record } = await pull(registry);
    expect(record.config.rootfs.diff_ids).toHaveLength(2);
    expect(new Set(registry.log).size).toBe(registry.log.length);
  });
});

describe('a list of platforms', () => {
  async function listed() {
    const registry = await FakeRegistry.start();
    const images = ['amd64', 'arm64', 's390x'].map((architecture) => ({
      architecture,
      image: addImage(registry, 'app', { layers: [gzipLayer(architecture, 100)], tag: null, architecture }),
    }));
    const index = registry.addManifest('app', '1', kinds.oci.index, {
      schemaVersion: 2,
      mediaType: kinds.oci.index,
      manifests: [
        ...images.map(({ architecture, image }) => ({
          mediaType: kinds.oci.manifest,
          digest: image.digest,
          size: image.size,
          platform: { os: 'linux', architecture },
        })),
        // A build attestation.
        {
          mediaType: kinds.oci.manifest,
          digest: images[0]!.image.digest,
          size: images[0]!.image.size,
          platform: { os: 'unknown', architecture: 'unknown' },
        },
      ],
    });
    return { registry, index, images };
  }

  test.each([
    ['linux/amd64', 0],
    ['linux/arm64', 1],
    ['linux/arm64/v8', 1],
    ['linux/s390x', 2],
    ['linux/amd64/v3', 0],
  ])('gives the image for %s, under the digest of the list', async (platform, at) => {
    const { registry, index, images } = await listed();
    const store = freshStore();
    const { record, digest } = await pullImage(
      testRegistries(),
      store,
      parseReference(`${registry.host}/app:1`),
      { platform: linux(platform) },
    );
    expect(record.id).toBe(images[at]?.image.configDigest);
    expect(digest).toBe(index);
    expect((await fsck(store, {})).findings).toEqual([]);
  });

  test('keeps the images of two platforms apart', async () => {
    const { registry, index, images } = await listed();
    const store = freshStore();
    for (const platform of ['linux/amd64', 'linux/arm64'])
      await pullImage(testRegistries(), store, parseReference(`${registry.host}/app:1`), {
        platform: linux(platform),
      });
    for (const [at, platform] of ['linux/amd64', 'linux/arm64'].entries())
      expect(store.images.find(`${registry.host}/app@${index}`, { platform: linux(platform) })?.id).toBe(
        images[at]?.image.configDigest,
      );
  });

  test('without the wanted one is an error that lists what there is', async () => {
    const { registry } = await listed();
    const pulled = pullImage(testRegistries(), freshStore(), parseReference(`${registry.host}/app:1`), {
      platform: linux('linux/ppc64le'),
    });
    await expect(pulled).rejects.toMatchObject({
      code: 'PLATFORM_MISMATCH',
      notes: [{ message: 'it has linux/amd64, linux/arm64, linux/s390x' }],
    });
  });
});

describe('what is wrong with an image', () => {
  interface Document {
    schemaVersion: number;
    mediaType: string;
    config: Record<string, unknown>;
    layers: [Record<string, unknown>, ...Record<string, unknown>[]];
  }
  const image = (change: (manifest: Document) => void) => async () => {
    const registry = await FakeRegistry.start();
    addImage(registry, 'app', {
      layers: [gzipLayer('a', 10)],
      change: (manifest) => change(manifest as unknown as Document),
    });
    return registry;
  };

  test.each([
    [
      'a foreign layer',
      'LAYER_FOREIGN',
      image((manifest) => {
        manifest.layers[0].mediaType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
        manifest.layers[0].urls = ['http://elsewhere.example/layer'];
      }),
    ],
    [
      'a chart',
      'MEDIA_TYPE_UNSUPPORTED',
      image((manifest) => (manifest.config.mediaType = 'application/vnd.cncf.helm.config.v1+json')),
    ],
    [
      'an unknown layer type',
      'MEDIA_TYPE_UNSUPPORTED',
      image((manifest) => (manifest.layers[0].mediaType = 'text/plain')),
    ],
    [
      'more layers than diffIDs',
      'DOCUMENT_INVALID',
      image((manifest) => manifest.layers.push(manifest.layers[0])),
    ],
    ['a layer without size', 'DOCUMENT_INVALID', image((manifest) => delete manifest.layers[0].size)],
    ['a config of 1 GiB', 'DOCUMENT_INVALID', image((manifest) => (manifest.config.size = 1 << 30))],
    [
      'a digest that leads out of the store',
      'DOCUMENT_INVALID',
      image((manifest) => (manifest.layers[0].digest = 'sha256:../../../etc/passwd')),
    ],
    [
      'schema 1',
      'MEDIA_TYPE_UNSUPPORTED',
      image((manifest) =>
        Object.assign(manifest, {
          schemaVersion: 1,
          mediaType: 'application/vnd.docker.distribution.manifest.v1+prettyjws',
        }),
      ),
    ],
    [
      'a layer that is larger than it says',
      'DIGEST_MISMATCH',
      image((manifest) => (manifest.layers[0].size = Number(manifest.layers[0].size) - 1)),
    ],
    [
      'a layer that is smaller than it says',
      'REGISTRY_RESPONSE_INVALID',
      image((manifest) => (manifest.layers[0].size = Number(manifest.layers[0].size) + 1)),
    ],
  ])('%s is refused with %s', async (_, code, start) => {
    const registry = await start();
    const store = freshStore();
    await expect(pull(registry, 'app:1', store)).rejects.toMatchObject({ code });
    await expectNoImage(store);
  });

  test('a layer that is not the one of the config is refused, whatever the manifest says', async () => {
    const registry = await FakeRegistry.start();
    const [mine, other] = [gzipLayer('a', 10), gzipLayer('a', 10)];
    addImage(registry, 'app', { layers: [{ ...mine, bytes: other.bytes }] });
    const store = freshStore();
    await expect(pull(registry, 'app:1', store)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    await expectNoImage(store);
    expect(() => store.layers.toc(digestOf(other.tar) as DiffId)).toThrow(
      expect.objectContaining({ code: 'BLOB_NOT_FOUND' }),
    );
  });

  test('bytes after a gzip member are kept, and change nothing about the layer', async () => {
    const registry = await FakeRegistry.start();
    const layer = gzipLayer('a', 200_000);
    const image = addImage(registry, 'app', {
      layers: [{ ...layer, bytes: Buffer.concat([layer.bytes, Buffer.alloc(300_000)]) }],
    });
    const { store } = await pull(registry);
    expect(store.blobs.size(image.layerDigests[0] as Digest)).toBe(layer.bytes.length + 300_000);
  });
});

describe('a registry that fails', () => {
  const isLayer = (url: string) => url.includes('/blobs/') && !url.includes('uploads');

  /** An image with one large layer; faults concern the layer only. */
  async function start(intercept: NonNullable<FakeRegistryOptions['intercept']>, sizeBytes = 1 << 20) {
    let layerDigest = '';
    const registry = await FakeRegistry.start({
      intercept: (request, response, count) =>
        isLayer(request.url) && request.url.endsWith(layerDigest)
          ? intercept(request, response, count)
          : false,
    });
    const layer = gzipLayer('big', sizeBytes);
    [layerDigest = ''] = addImage(registry, 'app', { layers: [layer] }).layerDigests;
    return { registry, layer, layerDigest };
  }

  const from = (range: string | undefined) => Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);

  test('by cutting the connection every 64 KiB is read to the end, nothing twice', async () => {
    let sent = 0;
    const { registry, layer } = await start((request, response) => {
      const part = layer.bytes.subarray(
        from(request.headers.range),
        from(request.headers.range) + (64 << 10),
      );
      sent += part.length;
      const size = layer.bytes.length;
      const start = from(request.headers.range);
      response.writeHead(start > 0 ? 206 : 200, {
        'content-length': size - start,
        'content-range': `bytes ${start}-${size - 1}/${size}`,
      });
      response.write(part, () =>
        setTimeout(() => (start + part.length === size ? response.end() : response.destroy()), 5),
      );
      return true;
    });
    const { record } = await pull(registry);
    expect(record.config.rootfs.diff_ids).toEqual([digestOf(layer.tar)]);
    expect(sent).toBeLessThan(layer.bytes.length * 1.2);
  });

  test('and does not know ranges is read again from the start', async () => {
    const { registry, layer } = await start((_, response, count) => {
      response.writeHead(200, { 'content-length': layer.bytes.length });
      if (count > 1) response.end(layer.bytes);
      else response.write(layer.bytes.subarray(0, 100_000), () => setTimeout(() => response.destroy(), 20));
      return true;
    });
    const { record } = await pull(registry);
    expect(record.config.rootfs.diff_ids).toEqual([digestOf(layer.tar)]);
  });

  test.each<[string, string, (layer: RemoteLayer) => NonNullable<FakeRegistryOptions['intercept']>]>([
    [
      'other bytes',
      'DIGEST_MISMATCH',
      ({ bytes }) =>
        (_, response) => {
          const damaged = Buffer.from(bytes);
          damaged[bytes.length >> 1]! ^= 1;
          response.end(damaged);
          return true;
        },
    ],
    [
      'bytes that are no gzip',
      'DIGEST_MISMATCH',
      ({ bytes }) =>
        (_, response) => {
          response.end(Buffer.alloc(bytes.length, 'x'));
          return true;
        },
    ],
    [
      'too much',
      'DIGEST_MISMATCH',
      ({ bytes }) =>
        (_, response) => {
          response.end(Buffer.concat([bytes, bytes]));
          return true;
        },
    ],
    [
      'too little, again and again',
      'REGISTRY_RESPONSE_INVALID',
      ({ bytes }) =>
        (request, response) => {
          if (request.headers.range)
            response
              .writeHead(206, {
                'content-range': `bytes ${from(request.headers.range)}-${bytes.length - 1}/${bytes.length}`,
              })
              .end();
          else response.end(bytes.subarray(0, 1000));
          return true;
        },
    ],
    [
      'another range than was asked for',
      'REGISTRY_RESPONSE_INVALID',
      ({ bytes }) =>
        (request, response) => {
          if (request.headers.range === undefined) response.end(bytes.subarray(0, 1000));
          else
            response
              .writeHead(206, { 'content-range': `bytes 0-${bytes.length - 1}/${bytes.length}` })
              .end(bytes);
          return true;
        },
    ],
    [
      'nothing but errors',
      'REGISTRY_FAILED',
      () => (_, response) => {
        response.writeHead(503).end('<html>busy</html>');
        return true;
      },
    ],
    [
      'a refusal',
      'REGISTRY_DENIED',
      () => (_, response) => {
        response.writeHead(403).end(errorBody('DENIED', 'requested access to the resource is denied'));
        return true;
      },
    ],
    [
      'only broken connections',
      'REGISTRY_UNREACHABLE',
      () => (_, response) => {
        response.destroy();
        return true;
      },
    ],
  ])('by sending %s for a layer ends in %s, and the store is as before', async (_, code, fault) => {
    let answer: NonNullable<FakeRegistryOptions['intercept']> = () => false;
    const { registry, layer, layerDigest } = await start((...request) => answer(...request), 200_000);
    answer = fault(layer);
    const store = freshStore();
    await expect(pull(registry, 'app:1', store)).rejects.toMatchObject({ code });
    await expectNoImage(store);
    expect(blobNames(store)).not.toContain(layerDigest.slice(7));
    expect(blobNames(store)).not.toContain(digestOf(layer.tar).slice(7));
  });

  test('with 429 and 500 for a while is asked again, later than Retry-After says', async () => {
    const times: number[] = [];
    const { registry } = await start((_, response, count) => {
      times.push(performance.now());
      if (count === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else if (count === 2) response.writeHead(500).end();
      else return false;
      return true;
    });
    await pull(registry);
    expect(times).toHaveLength(3);
    expect(times[1]! - times[0]!).toBeGreaterThan(990);
  });

  test('with a manifest of another digest than the one asked for is not believed', async () => {
    const registry = await FakeRegistry.start();
    const right = addImage(registry, 'app', { layers: [gzipLayer('a', 10)] });
    addImage(registry, 'app', { layers: [gzipLayer('b', 10)], tag: 'evil' });
    registry.manifests.set(`app@${right.digest}`, registry.manifests.get('app:evil')!);
    await expect(pull(registry, `app@${right.digest}`)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });

  test('with a manifest without end is cut off', async () => {
    const registry = await FakeRegistry.start({
      intercept: ({ url }, response) => {
        if (!url.includes('/manifests/')) return false;
        response.writeHead(200, { 'content-type': kinds.oci.manifest });
        response.end(Buffer.alloc(8 << 20, ' '));
        return true;
      },
    });
    await expect(pull(registry)).rejects.toMatchObject({ code: 'REGISTRY_RESPONSE_INVALID' });
  });

  test('and a name that is not there are told apart', async () => {
    const registry = await FakeRegistry.start();
    await expect(pull(registry, 'nope:1')).rejects.toMatchObject({
      code: 'REGISTRY_NOT_FOUND',
      message: `cannot pull ${registry.host}/nope:1: manifest unknown: manifest unknown`,
    });
    await registry.stop();
    await expect(pull(registry, 'nope:1')).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
  });

  test('is left when the pull is cancelled', async () => {
    const abort = new AbortController();
    const { registry } = await start((_, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('x');
      setTimeout(() => abort.abort(new Error('enough')), 20);
      return true;
    });
    const store = freshStore();
    const pulled = pullImage(testRegistries(), store, parseReference(`${registry.host}/app:1`), {
      signal: abort.signal,
    });
    await expect(pulled).rejects.toThrow('enough');
    await expectNoImage(store);
  });
});

describe('mirrors', () => {
  /** Registries for which `hosts` are mirrors of the given registry, in order. */
  function mirrored(registry: FakeRegistry, ...mirrors: readonly string[]): Registries {
    const file = join(scratchFolder(), 'config.json');
    writeFileSync(
      file,
      JSON.stringify({ mirrors: { [registry.host]: mirrors.map((host) => `http://${host}`) } }),
    );
    return testRegistries({ settingsFiles: [file] });
  }

  test('are tried in order, a dead one first, before the registry itself', async () => {
    const [dead, mirror, registry] = [
      await FakeRegistry.start(),
      await FakeRegistry.start(),
      await FakeRegistry.start(),
    ];
    const image = addImage(mirror, 'app', { layers: [gzipLayer('a', 10)] });
    const deadHost = dead.host;
    await dead.stop();
    const { digest } = await pull(registry, 'app:1', freshStore(), mirrored(registry, deadHost, mirror.host));
    expect(digest).toBe(image.digest);
    expect(registry.requests).toEqual([]);
  });

  test('that lack the image, or a layer of it, or have it damaged leave it to the registry', async () => {
    const [empty, half, registry] = [
      await FakeRegistry.start(),
      await FakeRegistry.start(),
      await FakeRegistry.start(),
    ];
    const layers = [gzipLayer('a', 300_000), gzipLayer('b', 300_000)];
    const image = addImage(registry, 'app', { layers });
    addImage(half, 'app', { layers });
    half.blobs.delete(image.layerDigests[0]!);
    const damaged = Buffer.from(half.blobs.get(image.layerDigests[1]!)!);
    damaged[1000]! ^= 1;
    half.blobs.set(image.layerDigests[1]!, damaged);
    const { record } = await pull(registry, 'app:1', freshStore(), mirrored(registry, empty.host, half.host));
    expect(record.id).toBe(image.configDigest);
    expect(registry.log.every((line) => line.includes('/blobs/'))).toBe(true);
  });

  test('are named when nothing has the image', async () => {
    const [mirror, registry] = [await FakeRegistry.start(), await FakeRegistry.start()];
    const pulled = pull(registry, 'app:1', freshStore(), mirrored(registry, mirror.host));
    await expect(pulled).rejects.toMatchObject({
      code: 'REGISTRY_NOT_FOUND',
      notes: expect.arrayContaining([{ message: expect.stringContaining('a mirror failed before') }]),
    });
  });
});
