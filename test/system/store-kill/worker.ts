// One of many processes on a store, started by store-kill.test.ts: puts, tags, caches, loads and prunes in a loop, and
// says on stdout what it tries and what was acknowledged. It is killed at any instant.
import { writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { digestOf, parseReference } from '../../../src/oci/index.ts';
import {
  collectGarbage,
  type ImageRecord,
  type LayerEntry,
  type LocalStore,
  loadImages,
  openStore,
  pruneCache,
  pruneImages,
  removeImage,
  saveImages,
} from '../../../src/store/index.ts';
import { toBytes } from '../../../src/sys/index.ts';

const [mode = '', root = '', worker = '', round = ''] = process.argv.slice(2);

// Written at once: what was said before a kill is not lost in a buffer.
const say = (line: string) => writeSync(1, `${line}\n`);
const random = (limit: number) => Math.floor(Math.random() * limit);

async function build(store: LocalStore, text: string): Promise<ImageRecord> {
  const bytes = Buffer.from(text);
  const entry: LayerEntry = {
    type: 'file',
    path: toBytes('f'),
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 1,
    size: bytes.length,
    source: { kind: 'bytes', bytes },
  };
  const toc = await store.layers.write([entry]);
  store.steps.put({
    key: digestOf(text),
    layer: toc.diffId,
    components: { text },
    place: `w${worker}`,
    createdAt: '2026-01-01T00:00:00Z',
    durationMs: 1,
  });
  return store.images.put({
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { text } },
    rootfs: { type: 'layers', diff_ids: [toc.diffId] },
  });
}

async function archiveOf(store: LocalStore, record: ImageRecord): Promise<readonly Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  const out = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  await saveImages(store, [record], out);
  return chunks;
}

async function* stream(chunks: readonly Uint8Array[]) {
  yield* chunks;
}

async function turnOfKilled(store: LocalStore, turn: number): Promise<void> {
  const name = `w${worker}-${random(5)}`;
  const image = await build(store, `${worker} ${round} ${turn}`);
  // The try comes first: a kill between a change and its acknowledgement may leave either state.
  say(`try ${name} ${image.id}`);
  store.images.tag(image.manifestDigest, [parseReference(name)]);
  say(`tag ${name} ${image.id}`);
  if (turn % 7 === 3) await loadImages(store, stream(await archiveOf(store, store.images.get(name))));
  if (turn % 5 === 4) {
    say(`try ${name} -`);
    removeImage(store, name);
    say(`tag ${name} -`);
  }
  if (turn % 4 === 1) pruneImages(store);
  if (turn % 6 === 2) pruneCache(store, { all: random(2) === 0, keepStorageBytes: 20_000 });
  if (turn % 3 === 0) collectGarbage(store);
}

async function turnOfTagger(store: LocalStore, turn: number): Promise<void> {
  const image = await build(store, `${worker} ${turn}`);
  store.images.tag(image.manifestDigest, [
    parseReference(`w${worker}-${turn}`),
    parseReference(`shared-${turn}`),
  ]);
  if (turn % 5 === 0) collectGarbage(store);
}

for (let turn = 0; mode === 'killed' || turn < Number(round); turn++) {
  const store = openStore({ root });
  try {
    await (mode === 'killed' ? turnOfKilled : turnOfTagger)(store, turn);
  } finally {
    store.close();
  }
}
