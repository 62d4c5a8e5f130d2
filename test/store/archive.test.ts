import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { digestOf, encodeImageConfig, hexOf, parseReference } from '../../src/oci/index.ts';
import { textEntry, writeArchive } from '../../src/store/archive/archive-writer.ts';
import { zstdInJavaScript } from '../../src/store/archive/decompress.ts';
import { filterThrough } from '../../src/store/archive/filter-program.ts';
import {
  type ImageRecord,
  importImage,
  type LayerEntry,
  type LocalStore,
  loadImages,
  openStore,
  saveImages,
  selectImages,
} from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

function file(path: string, text: string): LayerEntry {
  const bytes = Buffer.from(text);
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 1 };
  return {
    ...attributes,
    type: 'file',
    path: toBytes(path),
    size: bytes.length,
    source: { kind: 'bytes', bytes },
  };
}

function freshStore(): LocalStore {
  return openStore({ root: join(scratchFolder(), 'store') });
}

async function putImage(
  store: LocalStore,
  ...layers: readonly (readonly LayerEntry[])[]
): Promise<ImageRecord> {
  const tocs = [];
  for (const entries of layers) tocs.push(await store.layers.write(entries));
  const diffIds = tocs.map((toc) => toc.diffId);
  return store.images.put({
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
}

async function* chunked(bytes: Uint8Array, size = 700) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function save(store: LocalStore, names: readonly string[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const out = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  await saveImages(store, selectImages(store, names), out);
  return Buffer.concat(chunks);
}

async function twoImages(): Promise<{ store: LocalStore; one: ImageRecord; two: ImageRecord; tar: Buffer }> {
  const store = freshStore();
  const base = [file('base', 'b'.repeat(2000))];
  const one = await putImage(store, base, [file('one', '1')]);
  const two = await putImage(store, base, [file('two', '2')]);
  store.images.tag(one.manifestDigest, [parseReference('app:1'), parseReference('app:latest')]);
  store.images.tag(two.manifestDigest, [parseReference('localhost:5000/x/y:2')]);
  return { store, one, two, tar: await save(store, ['app', 'localhost:5000/x/y:2']) };
}

const names = (tar: Buffer) =>
  spawnSync('tar', ['t'], { input: tar, encoding: 'utf8' }).stdout.trim().split('\n');
const member = (tar: Buffer, name: string) =>
  spawnSync('tar', ['xO', name], { input: tar, encoding: 'utf8' }).stdout;
const inFolder = (path: string) => (fs.existsSync(path) ? fs.readdirSync(path) : []);
const left = (store: LocalStore) => inFolder(join(store.root, 'tmp', store.parts.session.name ?? ''));

test('what is saved is loaded again: IDs, names and layers', async () => {
  const { one, two, tar } = await twoImages();
  const other = freshStore();
  const loaded = await loadImages(other, chunked(tar));
  expect(loaded.map((image) => [image.record.id, image.names])).toEqual([
    [one.id, ['app:1', 'app:latest']],
    [two.id, ['localhost:5000/x/y:2']],
  ]);
  expect(other.images.get('app:1').manifestDigest).toBe(one.manifestDigest);
  expect(fs.readdirSync(join(other.root, 'toc'))).toHaveLength(3);
  expect(left(other)).toEqual([]);
  expect(await save(other, ['app', 'localhost:5000/x/y:2'])).toEqual(tar);
});

test('an archive is an OCI layout and a Docker archive, with shared layers once', async () => {
  const { one, two, tar } = await twoImages();
  const listed = names(tar);
  expect(listed.slice(0, 6)).toEqual([
    'oci-layout',
    'index.json',
    'manifest.json',
    'repositories',
    'blobs/',
    'blobs/sha256/',
  ]);
  expect(listed).toHaveLength(6 + 3 + 2 + 2);
  const [first, second] = JSON.parse(member(tar, 'manifest.json'));
  expect(first.RepoTags).toEqual(['app:1', 'app:latest']);
  expect(first.Config).toBe(`blobs/sha256/${hexOf(one.id)}`);
  expect(second.Layers).toEqual(two.config.rootfs.diff_ids.map((diffId) => `blobs/sha256/${hexOf(diffId)}`));
  expect(JSON.parse(member(tar, 'index.json')).manifests).toHaveLength(3);
});

test('a tag selects itself, a repository all of its tags, an ID no name', async () => {
  const { store, one } = await twoImages();
  const tags = (...selected: string[]) => selectImages(store, selected).map((image) => image.tags);
  expect(tags('app:1')).toEqual([['app:1']]);
  expect(tags('app')).toEqual([['app:1', 'app:latest']]);
  expect(tags(one.id)).toEqual([[]]);
  expect(tags('app:latest', one.id, 'app:1')).toEqual([['app:latest', 'app:1']]);
  expect(() => selectImages(store, ['nosuch'])).toThrow(expect.objectContaining({ code: 'IMAGE_NOT_FOUND' }));
  const tar = await save(store, [one.id]);
  expect(JSON.parse(member(tar, 'manifest.json'))[0].RepoTags).toBe(null);
  const other = freshStore();
  expect((await loadImages(other, chunked(tar)))[0]).toMatchObject({
    names: [],
    record: { id: one.id, tags: [] },
  });
});

const compressors: readonly (readonly [string, readonly string[]])[] = [
  ['gzip', ['gzip', '-c']],
  ['zstd', ['zstd', '-qc']],
  ['bzip2', ['bzip2', '-c']],
  ['xz', ['xz', '-c']],
];

test.each(compressors)(
  '%s around an archive is taken off, and damage in it is noticed',
  async (_name, [program = '', ...args]) => {
    const { one, tar } = await twoImages();
    const packed = spawnSync(program, args, { input: tar, maxBuffer: 1 << 28 });
    if (packed.error) return;
    const other = freshStore();
    expect((await loadImages(other, chunked(packed.stdout)))[0]?.record.id).toBe(one.id);
    const third = freshStore();
    await expect(loadImages(third, chunked(packed.stdout.subarray(0, -20)))).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
    });
    const flipped = Buffer.from(packed.stdout);
    const middle = flipped.length >> 1;
    flipped[middle] = (flipped[middle] ?? 0) ^ 0xff;
    await expect(loadImages(third, chunked(flipped))).rejects.toMatchObject({
      code: expect.stringMatching(/ARCHIVE_INVALID|DIGEST_MISMATCH/),
    });
    expect(inFolder(join(third.root, 'blobs/sha256'))).toEqual([]);
  },
);

test('a missing program is named', async () => {
  const read = async () => {
    for await (const _ of filterThrough(chunked(Buffer.alloc(5000)), ['no-such-program-here', '-d'], 'xz'));
  };
  await expect(read()).rejects.toMatchObject({ code: 'PROGRAM_NOT_FOUND' });
});

test('what the source throws comes through every decompressor', async () => {
  const { tar } = await twoImages();
  for (const [program = '', ...args] of compressors.map(([, command]) => command)) {
    const packed = spawnSync(program, args, { input: tar, maxBuffer: 1 << 28 });
    if (packed.error) continue;
    const broken = async function* () {
      yield packed.stdout.subarray(0, 200);
      throw new Error('connection lost');
    };
    await expect(loadImages(freshStore(), broken())).rejects.toThrow('connection lost');
  }
});

test('loading says which names it took from other images', async () => {
  const { one, two, tar } = await twoImages();
  const store = freshStore();
  const old = await putImage(store, [file('old', 'old')]);
  store.images.tag(old.manifestDigest, [parseReference('app:1'), parseReference('app:0')]);
  const loaded = await loadImages(store, chunked(tar));
  expect(loaded.map((image) => image.replaced)).toEqual([[{ name: 'app:1', id: old.id }], []]);
  expect((await loadImages(store, chunked(tar))).map((image) => image.replaced)).toEqual([[], []]);
  expect([store.images.get('app:1').id, store.images.get('app:0').id]).toEqual([one.id, old.id]);
  expect(two.id).not.toBe(one.id);
});

test('several gzip members in a row are one stream', async () => {
  const { one, tar } = await twoImages();
  const packed = Buffer.concat([gzipSync(tar.subarray(0, 3000)), gzipSync(tar.subarray(3000))]);
  expect((await loadImages(freshStore(), chunked(packed)))[0]?.record.id).toBe(one.id);
});

test('zstd is decoded without the program, too', async () => {
  const { tar } = await twoImages();
  const packed = spawnSync('zstd', ['-qc'], { input: tar, maxBuffer: 1 << 28 });
  if (packed.error) return;
  const chunks: Uint8Array[] = [];
  for await (const chunk of zstdInJavaScript(chunked(packed.stdout))) chunks.push(chunk);
  expect(Buffer.concat(chunks)).toEqual(tar);
  const cut = async () => {
    for await (const _ of zstdInJavaScript(chunked(packed.stdout.subarray(0, 100))));
  };
  await expect(cut()).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
});

interface Forged {
  readonly config?: string;
  readonly layers?: readonly Buffer[];
  readonly files?: readonly (readonly [string, string | Buffer])[];
  readonly manifest?: unknown;
}

/** A Docker archive in the old form, with parts replaced. */
async function dockerArchive({ config, layers = [], files = [], manifest }: Forged): Promise<Buffer> {
  const text = config ?? '{}';
  const layerNames = layers.map((_, index) => `l${index}/layer.tar`);
  const entries = [
    ...layers.map((bytes, index) => ({
      name: layerNames[index] ?? '',
      size: bytes.length,
      open: () => [bytes],
    })),
    textEntry('config.json', text),
    ...files.map(([name, content]) => ({
      name,
      size: Buffer.byteLength(content),
      open: () => [Buffer.from(content as string)],
    })),
    // Last on purpose: readers must not count on an order.
    textEntry(
      'manifest.json',
      JSON.stringify(manifest ?? [{ Config: 'config.json', RepoTags: ['x:1'], Layers: layerNames }]),
    ),
  ];
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeArchive(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function oneLayer(): Promise<{ tar: Buffer; config: string }> {
  const store = freshStore();
  const toc = await store.layers.write([file('a', 'hello')]);
  const tar = fs.readFileSync(store.blobs.path(toc.diffId));
  const config = encodeImageConfig({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [toc.diffId] },
  });
  return { tar, config };
}

test('a compressed layer is stored uncompressed, and the config keeps its bytes', async () => {
  const { tar, config } = await oneLayer();
  const odd = `${config.slice(0, -1)}, "unknown": [1]}`;
  const store = freshStore();
  const [image] = await loadImages(
    store,
    chunked(await dockerArchive({ config: odd, layers: [gzipSync(tar)] })),
  );
  expect(image?.record.id).toBe(digestOf(odd));
  expect(store.blobs.readText(digestOf(odd))).toBe(odd);
  expect(image?.record.manifest.layers).toEqual([
    { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(tar), size: tar.length },
  ]);
  expect(left(store)).toEqual([]);
});

test('an old archive that repeats a layer as a symbolic link is read', async () => {
  const { tar, config } = await oneLayer();
  const twice = config.replace(/\["(sha256:[0-9a-f]+)"\]/, '["$1","$1"]');
  const folder = scratchFolder();
  fs.mkdirSync(join(folder, 'one'));
  fs.mkdirSync(join(folder, 'two'));
  fs.writeFileSync(join(folder, 'one/layer.tar'), tar);
  fs.symlinkSync('../one/layer.tar', join(folder, 'two/layer.tar'));
  fs.writeFileSync(join(folder, 'c.json'), twice);
  const item = { Config: 'c.json', RepoTags: null, Layers: ['one/layer.tar', 'two/layer.tar'] };
  fs.writeFileSync(join(folder, 'manifest.json'), JSON.stringify([item]));
  const archive = spawnSync('tar', ['c', '-C', folder, '.'], { maxBuffer: 1 << 28 }).stdout;
  const store = freshStore();
  expect((await loadImages(store, chunked(archive)))[0]?.record.id).toBe(digestOf(twice));
});

test.each<readonly [string, string, (parts: { tar: Buffer; config: string }) => Promise<Buffer>]>([
  ['nothing', 'ARCHIVE_INVALID', async () => Buffer.alloc(0)],
  ['text', 'ARCHIVE_INVALID', async () => Buffer.from('this is not a tar'.repeat(100))],
  ['a tar of something else', 'ARCHIVE_INVALID', async ({ tar }) => tar],
  [
    'another layer than the config says',
    'DIGEST_MISMATCH',
    ({ tar, config }) => dockerArchive({ config, layers: [Buffer.concat([tar, Buffer.alloc(512)])] }),
  ],
  [
    'another compressed layer',
    'DIGEST_MISMATCH',
    ({ tar, config }) =>
      dockerArchive({ config, layers: [gzipSync(Buffer.concat([tar, Buffer.alloc(512)]))] }),
  ],
  [
    'a cut-off compressed layer',
    'ARCHIVE_INVALID',
    ({ tar, config }) => dockerArchive({ config, layers: [gzipSync(tar).subarray(0, -9)] }),
  ],
  [
    'a layer that is no tar',
    'ARCHIVE_INVALID',
    ({ config }) =>
      dockerArchive({
        config: config.replace(/sha256:[0-9a-f]+/, digestOf('x'.repeat(600))),
        layers: [Buffer.from('x'.repeat(600))],
      }),
  ],
  ['too few layers', 'ARCHIVE_INVALID', ({ config }) => dockerArchive({ config })],
  [
    'a layer that is not there',
    'ARCHIVE_INVALID',
    ({ config }) =>
      dockerArchive({ config, manifest: [{ Config: 'config.json', RepoTags: null, Layers: ['no'] }] }),
  ],
  [
    'a config that is not there',
    'ARCHIVE_INVALID',
    () => dockerArchive({ manifest: [{ Config: '../../etc/passwd', RepoTags: null, Layers: [] }] }),
  ],
  ['a config that is no config', 'DOCUMENT_INVALID', () => dockerArchive({ config: '{"os":1}' })],
  [
    'a config with a wrong name',
    'DIGEST_MISMATCH',
    ({ config }) =>
      dockerArchive({
        files: [[`${'0'.repeat(64)}.json`, config]],
        manifest: [{ Config: `${'0'.repeat(64)}.json`, RepoTags: null, Layers: [] }],
      }),
  ],
  [
    'an impossible name',
    'ARCHIVE_INVALID',
    ({ tar, config }) =>
      dockerArchive({
        config,
        layers: [tar],
        manifest: [{ Config: 'config.json', RepoTags: ['UPPER:1'], Layers: ['l0/layer.tar'] }],
      }),
  ],
  ['a manifest.json of another shape', 'ARCHIVE_INVALID', () => dockerArchive({ manifest: { Config: 1 } })],
  [
    'an index of nothing',
    'ARCHIVE_INVALID',
    async () => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of writeArchive([textEntry('index.json', '{"schemaVersion":2,"manifests":[]}')]))
        chunks.push(chunk);
      return Buffer.concat(chunks);
    },
  ],
])('an archive with %s is refused with %s, and leaves nothing', async (_what, code, make) => {
  const archive = await make(await oneLayer());
  const store = freshStore();
  store.blobs.put('before');
  await expect(loadImages(store, chunked(archive))).rejects.toMatchObject({ code });
  expect(fs.readdirSync(join(store.root, 'blobs/sha256'))).toEqual([hexOf(digestOf('before'))]);
  expect(left(store)).toEqual([]);
  expect(store.images.list()).toEqual([]);
});

test('links in archives lead nowhere outside', async () => {
  const folder = scratchFolder();
  fs.symlinkSync('/etc/passwd', join(folder, 'config.json'));
  fs.symlinkSync('loop', join(folder, 'loop'));
  for (const Config of ['config.json', 'loop', '/etc/passwd']) {
    fs.writeFileSync(join(folder, 'manifest.json'), JSON.stringify([{ Config, RepoTags: null, Layers: [] }]));
    const archive = spawnSync('tar', ['c', '-C', folder, '.'], { maxBuffer: 1 << 28 }).stdout;
    await expect(loadImages(freshStore(), chunked(archive))).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
    });
  }
});

test('an archive cut off anywhere is refused', async () => {
  const { tar } = await twoImages();
  const ends = [1, 511, 512, 1000, 3000, 6000, Math.floor(tar.length / 2), tar.length - 1500];
  for (const end of ends) {
    const store = freshStore();
    await expect(loadImages(store, chunked(tar.subarray(0, end))), `${end}`).rejects.toMatchObject({
      code: 'ARCHIVE_INVALID',
    });
    expect(left(store)).toEqual([]);
  }
});

test('every flipped bit in a blob of an archive is noticed', async () => {
  const { tar } = await twoImages();
  const start = tar.indexOf('bbbbbbbbbb');
  for (const at of [start, start + 1500]) {
    const damaged = Buffer.from(tar);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    await expect(loadImages(freshStore(), chunked(damaged))).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    });
  }
});

test('of several platforms the host gets its own, and may ask for another', async () => {
  const { tar, config } = await oneLayer();
  const other = config.replace('amd64', 'riscv64');
  const blob = (text: string | Buffer) => ({
    name: `blobs/sha256/${hexOf(digestOf(text))}`,
    size: Buffer.byteLength(text),
    open: () => [Buffer.from(text as string)],
  });
  const descriptor = (type: string, text: string | Buffer) => ({
    mediaType: type,
    digest: digestOf(text),
    size: Buffer.byteLength(text),
  });
  const oci = 'application/vnd.oci.image.';
  const manifest = (of: string) =>
    JSON.stringify({
      schemaVersion: 2,
      config: descriptor(`${oci}config.v1+json`, of),
      layers: [descriptor(`${oci}layer.v1.tar`, tar)],
    });
  const host = process.arch === 'x64' ? 'amd64' : process.arch;
  const list = (platforms: readonly (readonly [string, string])[]) =>
    JSON.stringify({
      schemaVersion: 2,
      manifests: platforms.map(([architecture, of]) => ({
        ...descriptor(`${oci}manifest.v1+json`, manifest(of)),
        platform: { os: architecture === 'unknown' ? 'unknown' : 'linux', architecture },
      })),
    });
  const archive = async (platforms: readonly (readonly [string, string])[]) => {
    const top = {
      ...descriptor(`${oci}index.v1+json`, list(platforms)),
      annotations: { 'org.opencontainers.image.ref.name': 'multi:1' },
    };
    const texts = [list(platforms), ...new Set(platforms.flatMap(([, of]) => [manifest(of), of])), tar];
    const chunks: Uint8Array[] = [];
    const entries = [
      ...texts.map(blob),
      textEntry('index.json', JSON.stringify({ schemaVersion: 2, manifests: [top] })),
    ];
    for await (const chunk of writeArchive(entries)) chunks.push(chunk);
    return chunked(Buffer.concat(chunks));
  };
  const both = [
    ['riscv64', other],
    [host, config],
    ['unknown', config],
  ] as const;
  expect((await loadImages(freshStore(), await archive(both)))[0]).toMatchObject({
    record: { id: digestOf(config) },
    names: ['multi:1'],
  });
  const asked = { platform: { os: 'linux', architecture: 'riscv64' } };
  expect((await loadImages(freshStore(), await archive(both), asked))[0]?.record.id).toBe(digestOf(other));
  expect((await loadImages(freshStore(), await archive([['riscv64', other]])))[0]?.record.id).toBe(
    digestOf(other),
  );
  const neither = { platform: { os: 'linux', architecture: 's390x' } };
  await expect(loadImages(freshStore(), await archive(both), neither)).rejects.toMatchObject({
    code: 'PLATFORM_MISMATCH',
  });
});

test('loading can be cancelled', async () => {
  const { tar } = await twoImages();
  const store = freshStore();
  const abort = new AbortController();
  const onProgress = () => abort.abort();
  await expect(loadImages(store, chunked(tar), { signal: abort.signal, onProgress })).rejects.toMatchObject({
    code: 'ABORTED',
  });
  expect(left(store)).toEqual([]);
});

test('an imported tar is the only layer, and the image depends on its inputs alone', async () => {
  const { tar } = await oneLayer();
  const options = {
    reference: parseReference('imported'),
    config: { Cmd: ['sh'] },
    message: 'Imported from -',
    platform: { os: 'linux', architecture: 'amd64' },
    created: '1980-01-01T00:00:01Z',
  };
  const store = freshStore();
  const image = await importImage(store, chunked(gzipSync(tar)), options);
  expect(image.tags).toEqual(['imported:latest']);
  expect(image.config.rootfs.diff_ids).toEqual([digestOf(tar)]);
  expect(image.config.history).toEqual([{ created: options.created, comment: 'Imported from -' }]);
  expect((await importImage(freshStore(), chunked(tar), options)).id).toBe(image.id);
  await expect(importImage(freshStore(), chunked(Buffer.alloc(0)), options)).rejects.toMatchObject({
    code: 'ARCHIVE_INVALID',
  });
  await expect(importImage(freshStore(), chunked(tar.subarray(0, 700)), options)).rejects.toMatchObject({
    code: 'ARCHIVE_INVALID',
  });
});
