import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DiffId, type Digest, digestOf, hexOf } from '../../src/oci/index.ts';
import type { StepRecord } from '../../src/store/index.ts';
import { assembleStore } from '../../src/store/store-parts.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts } from './assemble.ts';

const record = (key: string, layer: Digest, extra: Partial<StepRecord> = {}): StepRecord => ({
  key: digestOf(key),
  layer: layer as DiffId,
  components: { instruction: key },
  place: 'Dockerfile:3',
  createdAt: '2026-01-01T00:00:00Z',
  durationMs: 12,
  ...extra,
});

test('a record is found by its key, also by another process', () => {
  const { steps, blobs, paths, session } = openParts(join(scratchFolder(), 'store'));
  const long = record('k', blobs.put('layer'), {
    components: { text: 'x\n"y"'.repeat(10_000) },
    place: 'p'.repeat(9000),
  });
  steps.put(long);
  expect(steps.get(long.key)).toEqual(long);
  const other = openParts(paths.root);
  expect(other.steps.get(long.key)).toEqual(long);
  expect(other.steps.entries().map((entry) => entry.head.key)).toEqual([long.key]);
  expect(other.steps.get(digestOf('absent'))).toBe(null);
  session.close();
});

test.each(['', '\n', '{"version":1}', 'null\nnull\n', '{"version":2,"key":1}\n{}\n'])(
  'a record cut down to %j is absent',
  (content) => {
    const { steps, blobs, paths, session } = openParts(join(scratchFolder(), 'store'));
    const one = record('k', blobs.put('layer'));
    steps.put(one);
    fs.writeFileSync(join(paths.steps, hexOf(one.key)), content);
    expect(steps.get(one.key)).toBe(null);
    expect(steps.entries()).toEqual([]);
    session.close();
  },
);

test('a record under the name of another key is absent', () => {
  const { steps, blobs, paths, session } = openParts(join(scratchFolder(), 'store'));
  const one = record('k', blobs.put('layer'));
  steps.put(one);
  fs.renameSync(join(paths.steps, hexOf(one.key)), join(paths.steps, hexOf(digestOf('other'))));
  expect(steps.get(digestOf('other'))).toBe(null);
  session.close();
});

test('the latest records of a place come first, each key once', () => {
  const { steps, blobs, session } = openParts(join(scratchFolder(), 'store'));
  const layer = blobs.put('layer');
  for (const key of ['a', 'b', 'c', 'a']) steps.put(record(key, layer));
  steps.put(record('elsewhere', layer, { place: 'Dockerfile:9' }));
  expect(steps.recent('Dockerfile:3', 2).map((found) => found.components.instruction)).toEqual(['a', 'c']);
  expect(steps.recent('Dockerfile:3', 9)).toHaveLength(3);
  expect(steps.recent('nowhere', 9)).toEqual([]);
  session.close();
});

test('the list of a place does not grow without end', () => {
  const { steps, blobs, paths, session } = openParts(join(scratchFolder(), 'store'));
  const layer = blobs.put('layer');
  for (let i = 0; i < 450; i++) steps.put(record(String(i), layer));
  const [list = ''] = fs.readdirSync(paths.places);
  expect(fs.readFileSync(join(paths.places, list), 'utf8').split('\n').length).toBeLessThan(220);
  expect(steps.recent('Dockerfile:3', 1)[0]?.components.instruction).toBe('449');
  session.close();
});

test('the last use is noted, at most once an hour, and without opening the store for writing', () => {
  const root = join(scratchFolder(), 'store');
  const first = openParts(root);
  const one = record('k', first.blobs.put('layer'));
  first.steps.put(one);
  first.session.close();
  const path = join(first.paths.steps, hexOf(one.key));
  fs.utimesSync(path, 1000, 1000);
  let clock = 1000_000 + 3_599_000;
  const { steps, session } = assembleStore({ root, now: () => clock });
  steps.get(one.key);
  expect(fs.statSync(path).mtimeMs).toBe(1000_000);
  clock += 1000;
  steps.get(one.key);
  expect(fs.statSync(path).mtimeMs).toBe(clock);
  expect(session.isOpen).toBe(false);
});
