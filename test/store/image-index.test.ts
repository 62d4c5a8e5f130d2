import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parsePlatform, parseReference } from '../../src/oci/index.ts';
import { collectGarbage, fsck, openStore, removeImage } from '../../src/store/index.ts';
import { scratchFolder } from '../support/scratch.ts';

const host = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' };
const other = { os: 'linux', architecture: 'riscv64' };
const platform = (text: string) => parsePlatform(text, host);

async function storeWithIndex() {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const imageFor = async ({ os, architecture }: typeof host) => {
    const bytes = Buffer.from(architecture);
    const { diffId } = await store.layers.write([
      {
        ...{ type: 'file', path: 'a' as never, mode: 0o644, uid: 0, gid: 0, mtime: 0 },
        ...{ size: bytes.length, source: { kind: 'bytes', bytes } },
      },
    ]);
    return store.images.put({ os, architecture, rootfs: { type: 'layers', diff_ids: [diffId] } });
  };
  const members = [];
  for (const each of [other, host])
    members.push({ manifestDigest: (await imageFor(each)).manifestDigest, platform: each });
  const index = store.images.putIndex(members, { annotations: { b: '2', a: '1' } });
  store.images.tag(index, [parseReference('multi:1')]);
  return { store, index };
}

test('a name of a list of platforms finds the image of this machine, or of the wanted one', async () => {
  const { store, index } = await storeWithIndex();
  const found = store.images.get('multi:1');
  expect(found.config.architecture).toBe(host.architecture);
  expect([found.indexDigest, found.tags]).toEqual([index, ['multi:1']]);
  const wanted = store.images.get('multi:1', { platform: platform('linux/riscv64') });
  expect(wanted.config.architecture).toBe('riscv64');
  expect(store.images.find('multi:1', { platform: platform('linux/s390x') })).toBe(null);
  store.close();
});

test('the list keeps all of its images through gc, and they go with its last name', async () => {
  const { store: first, index } = await storeWithIndex();
  first.images.tag(index, [parseReference('again')]);
  first.close();
  const store = openStore({ root: first.root });
  expect(collectGarbage(store).blobs).toEqual([]);
  expect((await fsck(store)).findings).toEqual([]);
  // A check leases what it looks at.
  store.close();
  removeImage(store, 'multi:1');
  expect(store.images.get('again', { platform: platform('linux/riscv64') }).config.architecture).toBe(
    'riscv64',
  );
  removeImage(store, 'again');
  expect(store.blobs.has(index)).toBe(false);
  expect(collectGarbage(store).blobs).toEqual([]);
});

test("a manifest can have annotations and Docker's media types, with the same image ID", async () => {
  const { store } = await storeWithIndex();
  const plain = store.images.get('multi:1');
  const docker = store.images.put(plain.config, { mediaTypes: 'docker', annotations: { z: '1', a: '2' } });
  expect(docker.id).toBe(plain.id);
  expect(JSON.stringify(docker.manifest.annotations)).toBe('{"a":"2","z":"1"}');
  expect(docker.manifest.config.mediaType).toBe('application/vnd.docker.container.image.v1+json');
  store.images.tag(docker.manifestDigest, [parseReference('docker')]);
  expect(store.images.get('docker').manifest.mediaType).toContain('docker');
  expect((await fsck(store)).findings).toEqual([]);
  store.close();
});
