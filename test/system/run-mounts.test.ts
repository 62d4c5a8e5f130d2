import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DiffId, fromHex } from '../../src/oci/index.ts';
import { diskUsage, fsck, pruneCache } from '../../src/store/index.ts';
import { kinds } from '../run/sandbox-harness.ts';
import { BuildBench } from '../support/build-bench.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

/** An empty tar: what a RUN that changed nothing leaves. */
const emptyLayer = fromHex('5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef') as string;

const bench = new BuildBench();
beforeAll(async () => {
  if (unlessRoot() !== undefined) return;
  await bench.withBusybox();
  bench.file('dir/a', 'a\n');
  bench.file('dir/sub/b', 'b\n');
  bench.file('rw/a', 'a\n');
  bench.file('rw/sub/b', 'b\n');
  bench.file('other', 'other\n');
  bench.file('ignored/x', 'x\n');
  bench.file('.dockerignore', 'ignored\n');
  symlinkSync('dir/sub', join(bench.context, 'link'));
});
afterAll(() => bench.remove());
skipBecause(unlessRoot());

describe('a bind mount decides about the cache by what it shows', () => {
  const lines = ['FROM busybox', 'RUN --mount=source=dir,target=/m ls -l /m'];
  const at = (path: string) => join(bench.context, path);

  test.each<[string, boolean, () => void]>([
    ['nothing', false, () => undefined],
    ['a file elsewhere in the context', false, () => writeFileSync(at('other'), String(Math.random()))],
    ['a time', false, () => utimesSync(at('dir/a'), 1, 1)],
    ['a content', true, () => writeFileSync(at('dir/a'), 'changed\n')],
    ['a mode', true, () => chmodSync(at('dir/sub/b'), 0o600)],
    ['a name', true, () => renameSync(at('dir/a'), at('dir/c'))],
    ['a name back', false, () => renameSync(at('dir/c'), at('dir/a'))],
    ['a new file', true, () => writeFileSync(at('dir/new'), '')],
    ['the mode of the folder', true, () => chmodSync(at('dir'), 0o700)],
    ['an ignored file', false, () => writeFileSync(at('ignored/y'), '')],
  ])('when what changed is %s, the RUN is executed: %s', async (_, isExecuted, change) => {
    await bench.build(lines);
    change();
    expect((await bench.build(lines)).executed).toHaveLength(isExecuted ? 1 : 0);
  });

  test('files of a stage count, not how the stage came to have them', async () => {
    const build = (recipe: string) =>
      bench.build([
        'FROM busybox AS made',
        `RUN ${recipe}`,
        'FROM busybox',
        'RUN --mount=from=made,source=/out,target=/m cat /m/f',
      ]);
    const first = await build('mkdir /out && echo one > /out/f && echo 1 > /noise');
    expect(first.output).toBe('one\n');
    const second = await build('mkdir /out && echo one > /out/f && echo 2 > /noise');
    expect(second.executed).toHaveLength(1);
    expect((await build('mkdir /out && echo two > /out/f')).output).toBe('two\n');
  });

  test('files of a named context are mounted as those of the build context, and instead of a stage of that name', async () => {
    const path = join(bench.folder, 'named');
    mkdirSync(join(path, 'd'), { recursive: true, mode: 0o700 });
    writeFileSync(join(path, 'd/f'), 'named\n');
    const named = { made: { kind: 'dir', path } } as const;
    const build = () =>
      bench.build(
        [
          'FROM busybox AS made',
          'FROM busybox',
          'RUN --mount=from=made,target=/m stat -c "%a %u:%g" /m && cat /m/d/f',
          'RUN --mount=from=made,source=d,target=/m cat /m/f',
        ],
        { namedContexts: named },
      );
    expect((await build()).output).toBe('755 0:0\nnamed\nnamed\n');
    writeFileSync(join(path, 'other'), '');
    const { executed } = await build();
    expect(executed.filter((name) => name.startsWith('RUN'))).toHaveLength(1);
  });

  test('files are packed and unpacked once, however many RUNs mount them', async () => {
    const unpacked = () =>
      readdirSync(join(bench.root, 'rootfs')).filter((name) =>
        existsSync(join(bench.root, 'rootfs', name, 'content/once')),
      );
    bench.file('shared/once', 'once');
    await bench.build([
      'FROM busybox',
      'RUN --mount=source=shared,target=/m cat /m/once',
      'RUN --mount=source=shared,target=/n,rw cat /n/once && rm /n/once',
      'RUN --mount=source=/shared/,target=/o cat /o/once',
    ]);
    expect(unpacked()).toHaveLength(1);
  });
});

describe.each(kinds)('in the %s sandbox', (sandbox) => {
  const run = (...lines: string[]) => bench.build(['FROM busybox', ...lines], { sandbox, noCache: true });

  test('mounts leave nothing in the layer, wherever they were', async () => {
    const { layers, output } = await run(
      'RUN mkdir /etc/app && ln -s /etc/app /srv && touch /etc/app/conf',
      [
        'RUN --mount=target=/a/b/c --mount=type=tmpfs,target=/a/b/d --mount=type=cache,target=/e/f --mount=from=busybox,target=/g',
        '--mount=source=other,target=/srv/conf --mount=type=tmpfs,target=/srv/new/deep',
        '--mount=type=secret,id=s --mount=type=secret,id=s,target=/srv/s --mount=source=dir,target=/ctx,rw --mount=type=tmpfs,target=/ctx/x/y',
        'cat /etc/app/conf && ls /a/b /ctx /srv/new && echo z > /ctx/a && echo z > /e/f/z',
      ].join(' '),
    );
    expect(output).toContain('c\nd\n');
    expect(layers.at(-1)).toBe(emptyLayer);
  });

  test('a secret is a file for its owner only, read-only, and no program', async () => {
    const secrets = { s: { kind: 'bytes', bytes: Buffer.from('value') } } as const;
    const { output } = await bench.build(
      [
        'FROM busybox',
        'RUN --mount=type=secret,id=s stat -c "%a %u:%g %s" /run/secrets/s && grep -c " /run/secrets/s tmpfs ro,nosuid,nodev,noexec" /proc/mounts',
        'RUN --mount=type=secret,id=s,mode=0500,uid=5,gid=6 stat -c "%a %u:%g" /run/secrets/s && grep " /run/secrets/s " /proc/mounts | grep -c noexec || true',
        'USER 1000',
        'RUN --mount=type=secret,id=s cat /run/secrets/s 2>&1 || true',
        'RUN --mount=type=secret,id=s,uid=1000 cat /run/secrets/s',
      ],
      { sandbox, noCache: true, secrets },
    );
    expect(output.split('\n')).toEqual([
      '400 0:0 5',
      '1',
      '500 5:6',
      '0',
      "cat: can't open '/run/secrets/s': Permission denied",
      'value',
    ]);
  });

  test('writes to a bind with rw and to a tmpfs are gone, also for what is mounted again', async () => {
    const { output, layers } = await run(
      'RUN --mount=source=rw,target=/m,rw rm -r /m/sub && echo new > /m/n && ls /m',
      'RUN --mount=source=rw,target=/m ls /m',
      'RUN --mount=from=busybox,target=/m,rw rm -rf /m/bin && ls -d /m/bin 2>&1 || true',
      'RUN ls -d /bin',
    );
    expect(output).toBe('a\nn\na\nsub\nls: /m/bin: No such file or directory\n/bin\n');
    expect(new Set(layers.slice(1))).toEqual(new Set([emptyLayer]));
  });

  test('--network=none has the loopback device and nothing else', async () => {
    const { output } = await run(
      'RUN --network=none ls /sys/class/net && ping -c1 -W1 127.0.0.1 > /dev/null && echo up',
    );
    expect(output).toBe('lo\nup\n');
  });

  test('--security=insecure has every capability that Cairn has', async () => {
    const own = /CapBnd:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    const lines = ['FROM busybox', 'RUN --security=insecure grep CapEff /proc/self/status | cut -f2'];
    const { output } = await bench.build(lines, { sandbox, noCache: true, allow: ['security.insecure'] });
    expect(output.trim()).toBe(own);
  });
});

describe('what is wrong with a mount is said where it stands', () => {
  test.each([
    [
      'a missing source',
      'source=nowhere,target=/m',
      /^MOUNT_SOURCE_NOT_FOUND at 2: "nowhere" is not in the build context$/,
    ],
    [
      'an ignored source',
      'source=ignored/x,target=/m',
      /^MOUNT_SOURCE_NOT_FOUND at 2: .* an ignore file excludes it$/,
    ],
    [
      'a source missing in an image',
      'from=busybox,source=/nowhere,target=/m',
      /^MOUNT_SOURCE_NOT_FOUND at 2: "\/nowhere" is not in "busybox"$/,
    ],
    ['an unknown image', 'from=nobody/knows,target=/m', /^IMAGE_NOT_FOUND at 2/],
    ['no target', 'source=dir', /^MOUNT_INVALID at 2: the mount has no target|invalid mount target/],
    ['the root as target', 'target=/x/..', /^MOUNT_INVALID at 2: invalid mount target "\/x\/\.\."$/],
    ['a relative target that is the root', 'target=..', /^MOUNT_INVALID at 2/],
    [
      'a file on a folder',
      'source=other,target=/bin',
      /^MOUNT_TARGET_INVALID at 2: cannot mount a file on "\/bin"/,
    ],
    [
      'a folder on a file',
      'source=dir,target=/etc/passwd',
      /^MOUNT_TARGET_INVALID at 2: cannot mount a directory/,
    ],
    ['a target in a file', 'type=tmpfs,target=/etc/passwd/x', /^NOT_A_DIRECTORY at 2/],
    [
      'a target in /proc',
      'type=tmpfs,target=/proc/x',
      /^MOUNT_TARGET_INVALID at 2: .* \/proc is the kernel's$/,
    ],
    ['a target in /sys', 'type=tmpfs,target=/sys/fs', /^MOUNT_TARGET_INVALID at 2/],
    [
      'a target that a read-only mount lacks',
      'source=dir,target=/m --mount=type=cache,target=/m/made',
      /^MOUNT_TARGET_INVALID at 2: .* read-only$/,
    ],
    ['a missing secret', 'type=secret,id=none,required', /^SECRET_NOT_FOUND at 2/],
    ['a missing agent', 'type=ssh,required', /^SSH_NOT_FOUND at 2/],
    [
      'a path that a cache lacks',
      'type=cache,id=lacks,source=/sub,target=/m',
      /^MOUNT_SOURCE_NOT_FOUND at 2: "sub" does not exist/,
    ],
    ['a variable in from', 'from=$X,target=/m', /^VARIABLE_NOT_ALLOWED at 2/],
    ['an unknown type', 'type=cach,target=/m', /^MOUNT_INVALID at 2/],
  ])('%s', async (_, mount, expected) => {
    expect(await bench.failure(['FROM busybox', `RUN --mount=${mount} true`])).toMatch(expected);
  });
});

describe('cache mounts', () => {
  test('keep files between builds, outside the layer and the key', async () => {
    const lines = ['FROM busybox', 'RUN --mount=type=cache,target=/c,id=keep ls /c; date +%N > /c/f'];
    expect((await bench.build(lines)).output).toBe('');
    expect((await bench.build(lines)).executed).toEqual([]);
    expect((await bench.build(lines, { noCache: true })).output).toBe('f\n');
    const other = [
      'FROM busybox',
      'RUN --mount=type=cache,target=/c,id=else,sharing=locked ls /c; date +%N > /c/f',
    ];
    expect((await bench.build(other)).executed).toEqual([]);
  });

  test('of another namespace are others', async () => {
    const lines = ['FROM busybox', 'RUN --mount=type=cache,target=/c,id=spaced ls /c; touch /c/f'];
    const build = (buildArgs: Record<string, string>) => bench.build(lines, { noCache: true, buildArgs });
    const outputs = [
      await build({}),
      await build({ BUILDKIT_CACHE_MOUNT_NS: 'mine' }),
      await build({ BUILDKIT_CACHE_MOUNT_NS: 'mine' }),
      await build({}),
    ].map(({ output }) => output);
    expect(outputs).toEqual(['', '', 'f\n', 'f\n']);
  });

  test('a path below a cache is followed inside it only', async () => {
    const { output } = await bench.build([
      'FROM busybox',
      'RUN --mount=type=cache,id=below,target=/c mkdir -p /c/sub && echo in > /c/sub/f && ln -s / /c/out && ln -s /sub /c/in',
      'RUN --mount=type=cache,id=below,source=/in,target=/m cat /m/f',
      'RUN --mount=type=cache,id=below,source=/out,target=/m ls /m',
    ]);
    expect(output).toBe('in\nin\nout\nsub\n');
  });

  test('with a seed start with its files, and are made anew after pruning', async () => {
    const lines = [
      'FROM busybox AS seed',
      'RUN mkdir -m 0711 /s && echo seed > /s/f && chown 3:4 /s && mknod /s/fifo p',
      'FROM busybox',
      'RUN --mount=type=cache,target=/c,from=seed,source=/s stat -c "%a %u:%g" /c && ls /c && echo more > /c/g',
    ];
    const first = '711 3:4\nf\nfifo\n';
    const build = async () => (await bench.build(lines, { noCache: true })).output;
    expect([await build(), await build()]).toEqual([first, '711 3:4\nf\nfifo\ng\n']);
    await bench.withStore((store) => pruneCache(store, {}));
    expect(await build()).toBe(first);
  });

  test('are seen by disk usage, and the store stays sound', async () => {
    await bench.build(['FROM busybox', 'RUN --mount=type=cache,target=/c,id=counted echo x > /c/f']);
    await bench.withStore(async (store) => {
      const counted = diskUsage(store).buildCache.mounts.find((mount) => mount.id === 'counted');
      expect(counted).toMatchObject({ namespace: '', inUse: false });
      expect((await fsck(store)).findings).toEqual([]);
    });
  });

  test('in use are not pruned', async () => {
    const report = { mounts: [] as string[] };
    await bench.build(
      ['FROM busybox', 'RUN --mount=type=cache,target=/c,id=busy echo go; sleep 1; echo kept > /c/f'],
      {
        noCache: true,
        onEvent: (event) => {
          if (event.type !== 'step-output') return;
          void bench.withStore((store) => {
            report.mounts = pruneCache(store, { all: true }).mounts.map((mount) => mount.id);
          });
        },
      },
    );
    expect(report.mounts).not.toContain('busy');
    const { output } = await bench.build([
      'FROM busybox',
      'RUN --mount=type=cache,target=/c,id=busy cat /c/f',
    ]);
    expect(output).toBe('kept\n');
  });
});

test('secrets leave no trace in store, image, events, output and errors', async () => {
  const canary = `canary-${Math.random().toString(36).slice(2)}-${process.pid}`;
  const file = join(bench.folder, 'canary');
  writeFileSync(file, canary);
  const options = {
    secrets: { file: { kind: 'file', path: file }, bytes: { kind: 'bytes', bytes: Buffer.from(canary) } },
    noCache: true,
  } as const;
  const events: unknown[] = [];
  const onEvent = (event: unknown) => void events.push(event);
  const use = `--mount=type=secret,id=file --mount=type=secret,id=bytes,target=/deep/b --mount=type=secret,id=file,env=TOKEN`;
  const { output } = await bench.build(
    [
      'FROM busybox',
      `RUN ${use} test "$(cat /run/secrets/file)" = "$(cat /deep/b)" && test "$TOKEN" = "$(cat /deep/b)" && cp /deep/b /dev/shm/copy`,
      'RUN grep -r canary- /run /deep /dev/shm 2>/dev/null; env | grep -c TOKEN || true',
    ],
    { ...options, onEvent },
  );
  expect(output).toBe('0\n');
  const failed = await bench.failure(
    ['FROM busybox', `RUN ${use} cat /run/secrets/file > /dev/null && exit 3`],
    { ...options, onEvent },
  );
  expect(failed).toMatch(/^RUN_FAILED/);
  const said = JSON.stringify(events, (_, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString() : value,
  );
  expect(said).not.toContain(canary);
  expect(failed).not.toContain(canary);
  expect(filesWith(bench.root, canary)).toEqual([]);
});

/** Files below a folder that hold a text. */
function filesWith(folder: string, text: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => lstatSync(path).isFile() && readFileSync(path).includes(text));
}

test('a RUN without a secret that it may do without gets an empty variable and no file', async () => {
  const { output } = await bench.build([
    'FROM busybox',
    'RUN --mount=type=secret,id=none,env=NONE echo "[$NONE]${NONE+set}"; ls /run 2>&1 || true',
  ]);
  expect(output).toBe('[]set\nls: /run: No such file or directory\n');
});

test('the same mounts give the same layers in another store', async () => {
  const lines = [
    'FROM busybox AS made',
    'RUN mkdir /out && echo one > /out/f',
    'FROM busybox',
    'RUN --mount=from=made,source=/out,target=/m --mount=target=/ctx cp -a /m /copied && cp -a /ctx/link/. /linked && cp /ctx/other /',
  ];
  const second = await new BuildBench().withBusybox();
  try {
    rmSync(second.context, { recursive: true });
    mkdirSync(second.context);
    const layers = [(await bench.build(lines)).layers];
    layers.push((await second.build(lines, { context: { kind: 'dir', path: bench.context } })).layers);
    expect(layers[1]).toEqual(layers[0] as readonly DiffId[]);
  } finally {
    second.remove();
  }
});
