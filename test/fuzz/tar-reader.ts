// Feeds damaged tars to the layer reader. Run it with
//   node --import tsx test/fuzz/tar-reader.ts [EXECUTIONS] [SEED]
import { pathToFileURL } from 'node:url';
import { CairnError } from '../../src/errors/index.ts';
import { digestOf } from '../../src/oci/index.ts';
import type { Toc } from '../../src/store/contracts.ts';
import { comparePaths, decodeToc, emptyTree, encodeToc, TocBuilder } from '../../src/store/layer/index.ts';
import { packBytes } from '../support/pack-bytes.ts';
import { randomLayer } from '../support/random-layer.ts';
import { paxRecord, type RawMember, rawTar } from '../support/raw-tar.ts';
import { Random } from './random.ts';

const block = 512;

/**
 * Reads `executions` damaged tars from a seed. Whatever the bytes: the only error is ARCHIVE_INVALID, chunks make no
 * difference, and what is accepted has a table that is sorted, clean, true to the bytes, and good for a tree.
 * @throws {Error} naming the seed of the first that breaks this
 */
export function fuzzTarReader(executions: number, seed: number): { accepted: number } {
  let accepted = 0;
  for (let run = 0; run < executions; run += 1) {
    const random = new Random(seed + run);
    try {
      if (checkTar(damage(random, generate(random, seed + run)), random)) accepted += 1;
    } catch (error) {
      throw new Error(`seed ${seed + run} fails`, { cause: error });
    }
  }
  return { accepted };
}

function generate(random: Random, seed: number): Buffer {
  if (random.chance(30)) return packBytes(randomLayer(seed, { whiteouts: true })).tar;
  return rawTar(random.many(12, () => member(random)));
}

const names = [
  'a',
  'b',
  'a/b',
  'b/a',
  './a/',
  '../b',
  '/',
  'a/.wh.b',
  '.wh..wh..opq',
  'a/.wh..wh..opq',
  '.wh.',
  'a/../b/c',
];

function member(random: Random): RawMember {
  const keyword = random.pick([
    'path',
    'linkpath',
    'size',
    'uid',
    'mtime',
    'SCHILY.xattr.user.a',
    'GNU.sparse.name',
    '',
  ]);
  const value = random.pick(['a/b', '..', '7', '-1.5', '99999999999999999999', '\0', 'x'.repeat(600), '']);
  return random.pick<() => RawMember>([
    () => ({ name: random.pick(names), body: 'x'.repeat(random.below(1500)) }),
    () => ({ name: random.pick(names), flag: '5' }),
    () => ({ name: random.pick(names), flag: random.pick(['1', '2']), link: random.pick(names) }),
    () => ({ name: random.pick(names), flag: random.pick([...'\x003467DVSMNZA']) }),
    () => ({ name: 'x', flag: random.pick(['x', 'g']), body: paxRecord(keyword, value) }),
    () => ({ name: 'l', flag: random.pick(['L', 'K']), body: `${random.pick(names)}\0` }),
  ])();
}

/** Flips, cuts, repeats; with checksums made right again mostly, so that the damage gets past them. */
function damage(random: Random, tar: Buffer): Buffer {
  let bytes = Buffer.from(tar);
  for (let hits = random.below(4); hits > 0 && bytes.length > 0; hits -= 1) {
    const at = random.below(bytes.length);
    switch (random.below(5)) {
      case 0:
        bytes = bytes.subarray(0, at);
        break;
      case 1: {
        const from = random.below(bytes.length / block + 1) * block;
        bytes = Buffer.concat([bytes.subarray(0, from), bytes.subarray(Math.max(0, from - block))]);
        break;
      }
      default: {
        bytes[at] = random.below(256);
        const start = at - (at % block);
        if (random.chance(80) && start + block <= bytes.length)
          mendChecksum(bytes.subarray(start, start + block));
      }
    }
  }
  return bytes;
}

function mendChecksum(header: Buffer): void {
  header.write('        ', 148, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

function checkTar(tar: Buffer, random: Random): boolean {
  const whole = read(tar, tar.length + 1);
  const chunked = read(tar, 1 + random.below(1000));
  if (JSON.stringify(whole) !== JSON.stringify(chunked)) throw new Error('chunks make a difference');
  if (whole === null) return false;
  checkToc(whole, tar);
  return true;
}

function read(tar: Buffer, chunkSize: number): Toc | null {
  return orInvalid(() => {
    const builder = new TocBuilder();
    for (let at = 0; at < tar.length; at += chunkSize) builder.write(tar.subarray(at, at + chunkSize));
    return builder.finish();
  });
}

function checkToc(toc: Toc, tar: Buffer): void {
  let last = toc.entries[0]?.path;
  for (const { path, type, size, offset, digest } of toc.entries) {
    if (last !== undefined && comparePaths(last, path) > 0) throw new Error('the table is not sorted');
    last = path;
    const components = path === '' ? [] : path.split('/');
    if (components.some((name) => name === '' || name === '.' || name === '..' || name.startsWith('.wh.')))
      throw new Error(`the path ${JSON.stringify(path)} is not clean`);
    if (type === 'file' && digestOf(tar.subarray(offset, offset! + size)) !== digest)
      throw new Error(`the digest of ${JSON.stringify(path)} is wrong`);
  }
  if (JSON.stringify(decodeToc(encodeToc(toc))?.entries.length) !== JSON.stringify(toc.entries.length))
    throw new Error('the table on disk is refused');
  orInvalid(() => [...emptyTree().apply(toc).apply(toc).walk()].length);
}

function orInvalid<T>(action: () => T): T | null {
  try {
    return action();
  } catch (error) {
    if (error instanceof CairnError && error.code === 'ARCHIVE_INVALID') return null;
    throw error;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [executions = '20000', seed = '1'] = process.argv.slice(2);
  const { accepted } = fuzzTarReader(Number(executions), Number(seed));
  process.stdout.write(`${executions} tars from seed ${seed}, ${accepted} of them readable: no fault\n`);
}
