import type { Attributes, LayerEntry } from '../../src/store/contracts.ts';
import { joinPath, sortEntries } from '../../src/store/layer/index.ts';
import { type ByteString, fromBuffer, toBytes } from '../../src/sys/index.ts';

/** Repeatable random numbers (mulberry32): the seed names the case in a test's message. */
export function randomFrom(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

/** A capability in revision 2 with high bits set (cap_setuid and more), which text decoding would destroy. */
const capability = fromBuffer(Buffer.from('01000002c0fe80ff0000000000000000000000a0', 'hex').subarray(0, 20));

/** Entries of a random layer: every type, awkward names, owners, times and attributes. Parents come with it. */
export function randomLayer(seed: number, options: { readonly whiteouts: boolean }): LayerEntry[] {
  const random = randomFrom(seed);
  const pick = <T>(values: readonly T[]): T => values[random(values.length)]!;
  const used = new Set<ByteString>();
  const folders: ByteString[] = ['' as ByteString];
  const entries: LayerEntry[] = [];

  const name = (): ByteString => {
    const bytes = Buffer.from(Array.from({ length: 1 + random(6) }, () => 1 + random(255))).toString(
      'latin1',
    );
    const choices = [
      () =>
        pick([
          'a',
          'b',
          'a.b',
          'a-b',
          'A',
          'é',
          toBytes('日本'),
          ' ',
          '~',
          '-x',
          'new\nline',
          'x'.repeat(255),
        ]),
      () => bytes.replaceAll('/', '_'),
      () => `${pick(['n', 'm'])}${'long'.repeat(random(60))}`,
      () => `f${random(1000)}`,
    ];
    const text = pick(choices)();
    return (text.startsWith('.') ? `d${text}` : text) as ByteString;
  };
  const path = (): ByteString => {
    for (;;) {
      const candidate = joinPath(pick(folders), name());
      if (candidate.length > 2000 || used.has(candidate)) continue;
      used.add(candidate);
      return candidate;
    }
  };
  const attributes = (kind: 'plain' | 'other'): Attributes => {
    const xattrs: Record<string, ByteString> = {};
    if (kind === 'plain' && random(4) === 0) {
      if (random(2) === 0) xattrs['security.capability'] = capability;
      xattrs['user.\xff\x80 name'] = fromBuffer(
        Buffer.from(Array.from({ length: random(40) }, () => random(256))),
      );
    }
    return {
      mode: pick([0o644, 0o755, 0o600, 0, 0o4755, 0o2750, 0o1777, 0o7777, random(0o10000)]),
      uid: pick([0, 0, 1000, 65534, 2097151, 2097152, 4_000_000, 4_294_967_294]),
      gid: pick([0, 0, 100, 2097152, 4_000_000]),
      mtime: pick([0, 1, 315532801, 1_700_000_000, -1, -86400 * 365, 2 ** 31 + 7, 2 ** 33]),
      ...(Object.keys(xattrs).length === 0 ? {} : { xattrs }),
    };
  };

  const count = 5 + random(40);
  for (let i = 0; i < count; i++) {
    const at = path();
    switch (random(options.whiteouts ? 8 : 7)) {
      case 0:
      case 1:
        folders.push(at);
        entries.push({ type: 'dir', path: at, ...attributes('plain') });
        break;
      case 2:
      case 3: {
        const size = pick([0, 1, 511, 512, 513, 10_000, random(300_000)]);
        const bytes = Buffer.alloc(size, random(256));
        entries.push({
          type: 'file',
          path: at,
          ...attributes('plain'),
          size,
          source: { kind: 'bytes', bytes },
        });
        break;
      }
      case 4: {
        const link = pick(['x', '/', '../..', 'é\xff', 'long/'.repeat(19), 'l'.repeat(100), 'l'.repeat(101)]);
        entries.push({
          type: 'symlink',
          path: at,
          ...attributes('other'),
          mode: 0o777,
          link: link as ByteString,
        });
        break;
      }
      case 5:
        entries.push({ type: 'fifo', path: at, ...attributes('other') });
        break;
      case 6: {
        const type = pick(['char', 'block'] as const);
        entries.push({ type, path: at, ...attributes('other'), rdev: [1 + random(4000), random(2 ** 20)] });
        break;
      }
      default:
        entries.push({ type: 'whiteout', path: at });
    }
  }
  return withHardlinks(entries, random, path);
}

/** Gives some inodes further names; the first name in order stays the one that carries the data. */
function withHardlinks(
  entries: readonly LayerEntry[],
  random: (limit: number) => number,
  path: () => ByteString,
): LayerEntry[] {
  const all: LayerEntry[] = [];
  for (const entry of entries) {
    const isLeaf = entry.type !== 'dir' && entry.type !== 'whiteout' && entry.type !== 'hardlink';
    if (!isLeaf || random(3) > 0) {
      all.push(entry);
      continue;
    }
    const names = sortEntries(
      [entry.path, ...Array.from({ length: 1 + random(3) }, path)].map((at) => ({ path: at })),
    );
    const first = names[0]!.path;
    all.push({ ...entry, path: first });
    for (const { path: other } of names.slice(1)) all.push({ type: 'hardlink', path: other, target: first });
  }
  return sortEntries(all);
}

/** The layer without further names of devices and pipes, which GNU tar and Docker write as files of their own. */
export function withoutLinkedNodes(entries: readonly LayerEntry[]): LayerEntry[] {
  const types = new Map(entries.map(({ path, type }) => [path, type]));
  return entries.filter(
    (entry) => entry.type !== 'hardlink' || ['file', 'symlink'].includes(types.get(entry.target) ?? ''),
  );
}
