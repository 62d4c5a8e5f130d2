import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import {
  copyContent,
  layoutSink,
  layoutSource,
  type Registries,
  registrySink,
  registrySource,
} from '../../src/registry/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { FakeRegistry } from './support/fake-registry.ts';
import { testRegistries } from './support/registries.ts';
import { addImage, gzipLayer, kinds } from './support/remote-image.ts';

const doing = 'cannot copy';

async function place(registries: Registries, text: string) {
  const reference = parseReference(text);
  return { repositories: [await registries.repository(reference)], name: reference.tag ?? 'latest', doing };
}

/** A registry with a list of two platforms. */
async function listed() {
  const registry = await FakeRegistry.start();
  const images = ['amd64', 'arm64'].map((architecture) => ({
    ...addImage(registry, 'app', { layers: [gzipLayer(architecture, 100_000)], tag: null, architecture }),
    architecture,
  }));
  const digest = registry.addManifest('app', '1', kinds.oci.index, {
    schemaVersion: 2,
    mediaType: kinds.oci.index,
    manifests: images.map((image) => ({
      mediaType: kinds.oci.manifest,
      digest: image.digest,
      size: image.size,
      platform: { os: 'linux', architecture: image.architecture },
    })),
  });
  return { registry, images, digest };
}

test('a list of platforms goes through a layout to another registry, every byte the same', async () => {
  const { registry, digest } = await listed();
  const other = await FakeRegistry.start();
  const registries = testRegistries();
  const folder = join(scratchFolder(), 'layout');
  const source = registrySource(await place(registries, `${registry.host}/app:1`));
  await copyContent(source, layoutSink({ folder, name: 'x' }), { doing });
  const sink = registrySink(await place(registries, `${other.host}/moved/app:2`));
  const copied = await copyContent(layoutSource({ folder, name: 'x' }), sink, { doing });
  expect(copied.digest).toBe(digest);
  expect(other.manifests.get('moved/app:2')).toEqual(registry.manifests.get('app:1'));
  expect([...other.blobs.keys()].sort()).toEqual([...registry.blobs.keys()].sort());
});

test('one image of a list can be copied alone', async () => {
  const { registry, images } = await listed();
  const folder = join(scratchFolder(), 'layout');
  const source = registrySource(await place(testRegistries(), `${registry.host}/app:1`));
  const platform = { os: 'linux', architecture: 'arm64' };
  const { digest } = await copyContent(source, layoutSink({ folder, name: 'x' }), { doing, platform });
  expect(digest).toBe(images[1]?.digest);
});

test('names of a layout replace their own entry only', async () => {
  const { registry } = await listed();
  const folder = join(scratchFolder(), 'layout');
  const source = registrySource(await place(testRegistries(), `${registry.host}/app:1`));
  for (const name of ['x', 'y', 'x']) await copyContent(source, layoutSink({ folder, name }), { doing });
  const index = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    manifests: { annotations: Record<string, string> }[];
  };
  expect(index.manifests.flatMap(({ annotations }) => Object.values(annotations))).toEqual(['y', 'x']);
  const absent = copyContent(layoutSource({ folder, name: 'z' }), layoutSink({ folder }), { doing });
  await expect(absent).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND', help: 'its names are y, x' });
});

test.each(['damaged', 'missing'])('a blob of a layout that is %s is not handed on', async (how) => {
  const { registry, images } = await listed();
  const other = await FakeRegistry.start();
  const registries = testRegistries();
  const folder = join(scratchFolder(), 'layout');
  await copyContent(
    registrySource(await place(registries, `${registry.host}/app:1`)),
    layoutSink({ folder }),
    { doing },
  );
  const blob = join(folder, 'blobs/sha256', images[0]!.layerDigests[0]!.slice(7));
  if (how === 'missing') rmSync(blob);
  else {
    const bytes = readFileSync(blob);
    bytes[1000]! ^= 1;
    writeFileSync(blob, bytes);
  }
  const sink = registrySink(await place(registries, `${other.host}/app:1`));
  await expect(copyContent(layoutSource({ folder }), sink, { doing })).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
  expect(other.manifests.size).toBe(0);
});
