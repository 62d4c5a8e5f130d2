import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LayerEntry, Tree } from '../../src/store/contracts.ts';
import { scanUpper, withParents } from '../../src/store/layer/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { describeTree, OverlayStack } from '../support/overlay-stack.ts';
import { packBytes } from '../support/pack-bytes.ts';
import { randomFrom } from '../support/random-layer.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

const epoch = 1_000_000_000;

const b = toBytes;
const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 500 };
const file = (path: string, content = path, more: Partial<LayerEntry> = {}): LayerEntry =>
  ({
    type: 'file',
    path: b(path),
    ...plain,
    size: Buffer.byteLength(content),
    source: { kind: 'bytes', bytes: Buffer.from(content) },
    ...more,
  }) as LayerEntry;
const folder = (path: string, mode = 0o755, mtime = plain.mtime): LayerEntry => ({
  type: 'dir',
  path: b(path),
  ...plain,
  mode,
  mtime,
});

const base: readonly LayerEntry[] = [
  folder('d'),
  file('d/a'),
  file('d/b'),
  folder('d/sub', 0o700),
  file('d/sub/x'),
  file('d/sub/y'),
  folder('empty'),
  file('f', 'hello', { mode: 0o4755, uid: 1000, gid: 1000 } as Partial<LayerEntry>),
  file('h1', 'linked'),
  { type: 'hardlink', path: b('h2'), target: b('h1') },
  folder('late', 0o755, 2_000_000_000),
  file('late/a', 'late', { mtime: 2_000_000_000 } as Partial<LayerEntry>),
  { type: 'symlink', path: b('link'), ...plain, mode: 0o777, link: b('d') },
  { type: 'fifo', path: b('pipe'), ...plain },
  folder('tmp', 0o1777),
];

/** What a layer says, in short: `+` a name, `-` a whiteout, `=` a hard link, `/` a directory. */
function summary(entries: readonly LayerEntry[]): string {
  const marks: Partial<Record<LayerEntry['type'], string>> = { whiteout: '-', hardlink: '=', dir: '/' };
  return entries.map(({ type, path }) => `${marks[type] ?? '+'}${path}`).join(' ');
}

/** Shell commands on a few names, most of which collide; what fails, fails. */
function randomScript(random: (limit: number) => number): string {
  const pick = (...values: readonly string[]): string => values[random(values.length)]!;
  const name = (): string => {
    const parts = Array.from({ length: 1 + random(3) }, () =>
      pick('d', 'sub', 'a', 'b', 'f', 'x', 'h1', 'h2', 'link', 'tmp'),
    );
    return parts.join('/');
  };
  const commands: (() => string)[] = [
    () => `rm -rf ${name()}`,
    () => `mkdir -p ${name()}`,
    () => `rm -rf ${name()} ; mkdir ${name()}`,
    () => `mv -T ${name()} ${name()}`,
    () => `mv ${name()} ${name()}`,
    () => `ln ${name()} ${name()}`,
    () => `ln -sfn ${name()} ${name()}`,
    // Writing to a fifo would wait for a reader.
    () => `n=${name()}; [ -p $n ] || echo ${random(100)} > $n`,
    () => `cp -a ${name()} ${name()}`,
    () => `chmod ${pick('700', '755', '644', '1777')} ${name()}`,
    () => `chown ${random(3)}:${random(3)} ${name()}`,
    () => `touch -d @${pick('400', '500', '2000000000')} ${name()}`,
    () => `mkfifo ${name()}`,
  ];
  return Array.from(
    { length: 2 + random(12) },
    () => `{ ${commands[random(commands.length)]!()}; } 2>/dev/null || true`,
  ).join('\n');
}

describe('changes in a real overlay', () => {
  skipBecause(unlessRoot());
  let stack: OverlayStack;
  beforeEach(() => {
    stack = new OverlayStack();
  });
  afterEach(() => stack.remove());

  const cases: readonly [script: string, wanted: string][] = [
    ['true', ''],
    ['chmod 644 late/a; chmod 755 late; ln late/a late/b; rm late/b', ''],
    ['touch late/a', '/late +late/a'],
    ['chmod 600 late/a', '/late +late/a'],
    ['cat f d/a > /dev/null; ls -R > /dev/null', ''],
    ['rm d/a', '/d -d/a'],
    ['rm -r d', '-d'],
    ['rm -r d/sub', '/d -d/sub'],
    ['rm -r d; mkdir d', '/d -d/a -d/b -d/sub'],
    ['rm -r d; mkdir -p d/sub; touch d/sub/new d/b', '/d -d/a +d/b /d/sub +d/sub/new -d/sub/x -d/sub/y'],
    [
      'rm -r d/sub; mkdir -m 700 d/sub; echo -n d/sub/y > d/sub/y; touch -d @500 d/sub/y d/sub',
      '/d /d/sub -d/sub/x',
    ],
    ['rm d/a; echo -n d/a > d/a; touch -d @500 d/a', ''],
    ['mv d e', '-d /e +e/a +e/b /e/sub +e/sub/x +e/sub/y'],
    ['mv f g', '-f +g'],
    ['mkdir new; touch new/f; rm -r new', ''],
    ['touch t; rm t', ''],
    ['touch d/new; rm d/new', ''],
    ['touch tmp/new', '/tmp +tmp/new'],
    ['touch d/sub/new', '/d /d/sub +d/sub/new'],
    ['chmod 644 d/a; chown 0:0 d/a', ''],
    ['chmod 600 d/a', '/d +d/a'],
    ['chmod 700 d', '/d'],
    ['chown 5:6 d/sub', '/d /d/sub'],
    ['chown -h 7:7 link', '+link'],
    ['touch -d @400 d', '/d'],
    ['touch d', ''],
    ['touch f', '+f'],
    ['touch -d @1000000000 f; touch -d @500 f', ''],
    ['echo hello2 > f; touch -d @500 f', '+f'],
    ['printf world > f; touch -d @500 f', '+f'],
    ['ln f f2', '+f =f2'],
    ['ln f d/f0', '/d +d/f0 =f'],
    ['echo more >> h1', '+h1'],
    ['rm h1', '-h1'],
    ['ln h2 h3', '+h2 =h3'],
    ['ln d/a z1; ln z1 z2', '/d +d/a =z1 =z2'],
    ['rm link; mkdir link; touch link/in', '/link +link/in'],
    ['rm -r d; ln -s empty d', '+d'],
    ['rm -r d; echo file > d', '+d'],
    ['rm f; mkdir f', '/f'],
    ['rm f; mkfifo f', '+f'],
    ['rm pipe; mknod pipe p; touch -d @500 pipe', ''],
    ['mknod node c 1 3; mknod disk b 8 1', '+disk +node'],
    [
      "setfattr -n user.a -v 0xff00 f || python3 -c \"import os; os.setxattr('f', 'user.a', b'\\xff\\0')\"",
      '+f',
    ],
    ["python3 -c \"import os; os.setxattr('d', 'user.a', b'')\"", '/d'],
    ['cp f cap; setcap cap_setuid,cap_net_raw+ep cap', '+cap'],
    ['python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\'sock\')"', ''],
    ['chmod 755 .; touch .', ''],
    ['rm -rf d empty f h1 h2 late link pipe tmp', '-d -empty -f -h1 -h2 -late -link -pipe -tmp'],
    ['touch "$(printf \'\\377\\200\')"; mkdir é', '/Ã© +ÿ\x80'],
    ['mkdir -p n/e/s/t; ln -s /x n/e/l', '/n /n/e +n/e/l /n/e/s /n/e/s/t'],
    ['mv d/sub d/bus', '/d /d/bus +d/bus/x +d/bus/y -d/sub'],
    ['mv d/sub/x d/sub/y', '/d /d/sub -d/sub/x +d/sub/y'],
    ['truncate -s 5000000 big', '+big'],
  ];

  test.each(cases)('%s', (script, wanted) => {
    stack.pushEntries(base);
    const { upper, merged } = stack.run(script);
    const entries = scanUpper(upper, stack.tree, { epoch });
    expect(summary(entries)).toBe(wanted);
    for (const entry of entries)
      if ('mtime' in entry && entry.type !== 'dir') expect(entry.mtime).toBeLessThanOrEqual(epoch);
    const after = stack.tree.apply(packBytes(entries).toc);
    if (!script.includes('AF_UNIX')) expect(describeTree(after, epoch)).toEqual(describeTree(merged, epoch));
  });

  test('each step of a long chain gives what the mount shows, and scans to nothing when nothing is done', () => {
    stack.pushEntries(base);
    for (const [script] of cases.slice(0, 24)) {
      const guarded = `{ ${script}; } 2> /dev/null || true`;
      const { upper, merged } = stack.run(guarded);
      const toc = stack.pushEntries(scanUpper(upper, stack.tree, { epoch }));
      expect(describeTree(stack.tree, epoch)).toEqual(describeTree(merged, epoch));
      expect(toc.entries.filter(({ type }) => type === 'opaque')).toEqual([]);
    }
    const { upper, merged } = stack.run('find . -type f -exec cat {} + > /dev/null');
    expect(scanUpper(upper, stack.tree, { epoch })).toEqual([]);
    expect(describeTree(merged, epoch)).toEqual(describeTree(stack.tree, epoch));
  });

  test.each(Array.from({ length: 25 }, (_, seed) => seed))('random changes %i on three layers', (seed) => {
    const random = randomFrom(seed);
    stack.pushEntries(base);
    for (let layer = 0; layer < 3; layer++) {
      const { upper, merged } = stack.run(randomScript(random));
      const entries = scanUpper(upper, stack.tree, { epoch });
      const gone = entries.filter(
        ({ type, path }) => type === 'whiteout' && stack.tree.get(path) === undefined,
      );
      expect(gone).toEqual([]);
      stack.pushEntries(entries);
      // Overlayfs parts the names of an inode when it copies one up; where nothing else changed they stay together here.
      const withoutLinks = (tree: Tree): unknown[] =>
        describeTree(tree, epoch).map(({ first: _, ...rest }) => rest);
      expect(withoutLinks(stack.tree)).toEqual(withoutLinks(merged));
    }
  });

  test('parents come with their own attributes and time, whatever the kernel made of them', () => {
    stack.pushEntries(base);
    const { upper } = stack.run('touch d/sub/new');
    const entries = scanUpper(upper, stack.tree, { epoch });
    expect(entries.slice(0, 2)).toEqual([folder('d'), folder('d/sub', 0o700)]);
    expect(entries[2]).toMatchObject({ path: 'd/sub/new', mtime: epoch });
    expect([...withParents(entries, stack.tree)]).toEqual(entries);
  });

  test('a mount with redirect_dir is refused, since its files lie elsewhere', () => {
    stack.pushEntries(base);
    const { upper } = stack.run('touch g');
    execFileSync('python3', [
      '-c',
      `import os; os.setxattr('${upper}/g', 'trusted.overlay.redirect', b'/f')`,
    ]);
    expect(() => scanUpper(upper, stack.tree, { epoch })).toThrow(
      expect.objectContaining({ code: 'OVERLAY_UNSUPPORTED' }),
    );
  });

  test('what a layer cannot hold is reported and left out', () => {
    stack.pushEntries(base);
    const { upper } = stack.run(
      `touch .wh.x; python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('s')"`,
    );
    const skipped: unknown[] = [];
    const entries = scanUpper(upper, stack.tree, { epoch, onSkipped: (...what) => skipped.push(what) });
    expect(entries).toEqual([]);
    expect(skipped).toEqual([
      ['.wh.x', 'reserved name'],
      ['s', 'socket'],
    ]);
  });
});
