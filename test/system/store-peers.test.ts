import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import {
  type ImageRecord,
  type LayerEntry,
  type LocalStore,
  loadImages,
  openStore,
  saveImages,
  selectImages,
} from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { call, dockerEngine, mustCall } from '../compare/engine.ts';
import { podmanEngine } from '../support/podman.ts';
import { scratchFolder } from '../support/scratch.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

// Several images with several names in one archive, which no single command line test covers: names are of this
// process alone, since daemons are shared.
const unique = `cairn-store-test-${process.pid}`;
const names = { one: [`${unique}/one:1`, `${unique}/one:latest`], two: [`localhost:5000/${unique}/two:2`] };

interface Sample {
  readonly store: LocalStore;
  readonly one: ImageRecord;
  readonly two: ImageRecord;
  readonly archive: string;
}

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

/** Two images that share a layer, saved into one archive. */
async function sample(): Promise<Sample> {
  const folder = scratchFolder();
  const store = openStore({ root: join(folder, 'store') });
  const base = await store.layers.write([file('base', 'b'.repeat(100_000))]);
  const put = async (text: string, tags: readonly string[]) => {
    const top = await store.layers.write([file(text, text)]);
    const created = '1980-01-01T00:00:01Z';
    const image = store.images.put({
      created,
      architecture: 'amd64',
      os: 'linux',
      config: { Cmd: [text], Labels: { name: text } },
      rootfs: { type: 'layers', diff_ids: [base.diffId, top.diffId] },
      history: [
        { created, created_by: 'one' },
        { created, created_by: text },
      ],
    });
    store.images.tag(image.manifestDigest, tags.map(parseReference));
    return image;
  };
  const [one, two] = [await put('one', names.one), await put('two', names.two)];
  const archive = join(folder, 'archive.tar');
  await saveTo(archive, store, [`${unique}/one`, ...names.two]);
  return { store, one, two, archive };
}

async function saveTo(path: string, store: LocalStore, selected: readonly string[]): Promise<void> {
  const out = fs.createWriteStream(path);
  await saveImages(store, selectImages(store, selected), out);
  await new Promise((resolve) => out.end(resolve));
}

function succeed(program: string, words: readonly string[]): string {
  const run = spawnSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 26 });
  expect(run.status, `${program} ${words.join(' ')}: ${run.stderr}`).toBe(0);
  return run.stdout;
}

/** Image IDs by name after loading an archive into a fresh store. */
async function loaded(archive: string): Promise<Readonly<Record<string, string>>> {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const images = await loadImages(store, fs.createReadStream(archive));
  store.close();
  return Object.fromEntries(images.flatMap(({ record, names: tags }) => tags.map((tag) => [tag, record.id])));
}

function expected({ one, two }: Sample): Readonly<Record<string, string>> {
  return Object.fromEntries([
    ...names.one.map((name) => [name, one.id]),
    ...names.two.map((name) => [name, two.id]),
  ]);
}

describe('docker', () => {
  const docker = dockerEngine();
  skipBecause(docker ? undefined : 'needs a docker daemon (scripts/peers-up.sh starts one)');

  test('loads all images under all names, and what it saves comes back with the same IDs', async () => {
    const made = await sample();
    const all = [...names.one, ...names.two];
    try {
      const printed = mustCall(docker!, ['load', '-i', made.archive]);
      for (const name of all) expect(printed).toContain(`Loaded image: ${name}`);
      const shown = (name: string) =>
        mustCall(docker!, ['image', 'inspect', '-f', '{{json .RootFS.Layers}}', name]);
      expect(JSON.parse(shown(names.one[0] ?? ''))).toEqual(made.one.config.rootfs.diff_ids);
      const back = join(scratchFolder(), 'back.tar');
      mustCall(docker!, ['save', '-o', back, ...all]);
      expect(await loaded(back)).toEqual(expected(made));
    } finally {
      call(docker!, ['rmi', ...all]);
    }
  });
});

describe('podman', () => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('podman')));

  test('loads all images, and what it saves comes back with the same IDs', async () => {
    const made = await sample();
    const podman = podmanEngine();
    try {
      mustCall(podman, ['load', '-i', made.archive]);
      const ids = mustCall(podman, ['images', '--no-trunc', '--format', '{{.Id}}']).trim().split('\n');
      expect(new Set(ids.map((id) => id.replace('sha256:', '')))).toEqual(
        new Set([made.one.id.slice(7), made.two.id.slice(7)]),
      );
      const back = join(scratchFolder(), 'back.tar');
      mustCall(podman, ['save', '-m', '-o', back, made.one.id.slice(7), ...names.two]);
      expect((await loaded(back))[names.two[0] ?? '']).toBe(made.two.id);
    } finally {
      podman.close();
    }
  });
});

describe('skopeo', () => {
  skipBecause(unlessInstalled('skopeo'));

  test.each(['docker-archive', 'oci-archive'])('copies every name out of a %s', async (transport) => {
    const made = await sample();
    for (const [name, id] of Object.entries(expected(made))) {
      const target = join(scratchFolder(), 'layout');
      succeed('skopeo', ['copy', `${transport}:${made.archive}:${name}`, `oci:${target}:x`]);
      const raw = JSON.parse(succeed('skopeo', ['inspect', '--raw', `oci:${target}:x`]));
      expect(raw.config.digest).toBe(id);
    }
  });

  test('reads every name of the store in place, and a tar of a layout that it made is loaded', async () => {
    const made = await sample();
    const layout = join(scratchFolder(), 'layout');
    for (const [index, name] of Object.keys(expected(made)).entries())
      succeed('skopeo', [
        'copy',
        '--dest-oci-accept-uncompressed-layers',
        `oci:${made.store.root}:${name}`,
        `oci:${layout}:copied:${index}`,
      ]);
    const tar = join(scratchFolder(), 'layout.tar');
    succeed('tar', ['cf', tar, '-C', layout, '.']);
    const ids = await loaded(tar);
    expect([ids['copied:0'], ids['copied:1'], ids['copied:2']]).toEqual([
      made.one.id,
      made.one.id,
      made.two.id,
    ]);
  });

  test('what it writes into the store itself is an image like any other', async () => {
    const made = await sample();
    made.store.close();
    succeed('skopeo', [
      'copy',
      `docker-archive:${made.archive}:${names.two[0]}`,
      `oci:${made.store.root}:by-skopeo:1`,
    ]);
    const store = openStore({ root: made.store.root });
    expect(store.images.get('by-skopeo:1').id).toBe(made.two.id);
    expect(store.images.get(names.two[0] ?? '').tags).toEqual(['by-skopeo:1', ...names.two]);
  });
});

describe('umoci', () => {
  skipBecause(unlessInstalled('umoci'));

  test('lists and unpacks the images of the store and of an archive', async () => {
    const made = await sample();
    const layout = join(scratchFolder(), 'layout');
    fs.mkdirSync(layout);
    succeed('tar', ['xf', made.archive, '-C', layout]);
    for (const folder of [made.store.root, layout]) {
      const listed = succeed('umoci', ['ls', '--layout', folder]).trim().split('\n').sort();
      expect(listed).toEqual([...names.one, ...names.two].sort());
      const bundle = join(scratchFolder(), 'bundle');
      succeed('umoci', [
        'unpack',
        ...(process.getuid?.() === 0 ? [] : ['--rootless']),
        '--image',
        `${folder}:${names.one[0]}`,
        bundle,
      ]);
      expect(fs.readFileSync(join(bundle, 'rootfs/one'), 'utf8')).toBe('one');
    }
  });
});
