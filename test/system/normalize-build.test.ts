import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { call, mustCall } from '../compare/engine.ts';
import { flatten } from '../compare/flatten.ts';
import { openArchive } from '../compare/image-archive.ts';
import { kinds } from '../run/sandbox-harness.ts';
import { storeForFile, withBases } from '../support/image-store.ts';
import { scratchFolder } from '../support/scratch.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const store = storeForFile();

interface Built {
  readonly id: string;
  readonly stderr: string;
}

/** Builds a Dockerfile of these lines without the cache. */
function build(lines: readonly string[], args: readonly string[] = []): Built {
  withBases(
    store,
    ...['busybox:latest', 'debian:12'].filter((name) => lines.join('\n').includes(name.split(':')[0]!)),
  );
  const context = mkdtempSync(join(scratchFolder(), 'context-'));
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), `${lines.join('\n')}\n`);
  const { status, stdout, stderr } = call(store, [
    'build',
    '--no-cache',
    '-q',
    '--explain-normalize',
    ...args,
    context,
  ]);
  if (status !== 0) throw new Error(stderr);
  return { id: stdout.trim(), stderr };
}

/** Paths of an image. */
function pathsOf({ id }: Built): ReadonlySet<string> {
  const archive = join(scratchFolder(), 'image.tar');
  mustCall(store, ['save', '-o', archive, id]);
  const image = openArchive(archive);
  try {
    return new Set(flatten(image.layers).keys());
  } finally {
    image.close();
  }
}

describe('noise of real programs', () => {
  skipBecause(unlessRoot());

  /** Each with the program that makes the noise, the rule for it, and where it is found. */
  test.each([
    ['ldconfig-cache', 'debian:12', 'ldconfig', 'var/cache/ldconfig/aux-cache'],
    ['apt-cache', 'debian:12', 'apt-get update', 'var/cache/apt/srcpkgcache.bin'],
    [
      'apt-logs',
      'debian:12',
      'apt-get update && apt-get install -y --no-install-recommends less',
      'var/log/apt/history.log',
    ],
    [
      'dpkg-logs',
      'debian:12',
      'mkdir -p p/DEBIAN && printf "Package: own\\nVersion: 1\\nArchitecture: all\\nMaintainer: o <o@example.com>\\nDescription: o\\n" > p/DEBIAN/control && dpkg-deb -b p o.deb && dpkg -i o.deb',
      'var/log/dpkg.log',
    ],
  ])('%s: leaves out what the program writes in %s', (rule, base, command, path) => {
    const lines = [`FROM ${base}`, `RUN ${command}`];
    const clean = build(lines);
    expect(clean.stderr).toContain(`  ${rule}: left out /${path}\n`);
    const raw = build(lines, ['--no-normalize']);
    expect(raw.stderr).toContain('normalized nothing');
    expect(pathsOf(raw)).toContain(path);
  });

  test('shadow-dates: the day on which an account is made is the day of the epoch', () => {
    // shadow's own programs know SOURCE_DATE_EPOCH; others do not.
    const lines = [
      'FROM debian:12',
      'RUN env -u SOURCE_DATE_EPOCH useradd bob',
      'RUN grep "^bob:!:3652:" /etc/shadow',
    ];
    expect(build(lines).stderr).toContain('  shadow-dates: rewrote /etc/shadow\n');
  });

  test('python-bytecode: what Python compiled is valid in the next RUN', () => {
    const { stderr } = build([
      'FROM debian:12',
      'RUN apt-get update && apt-get install -y --no-install-recommends python3-minimal',
      'RUN mkdir /app && echo "x = 1" > /app/m.py && cd /app && python3 -c "import m"',
      'RUN cd /app && python3 -v -c "import m" 2>&1 | grep "matches /app/m.py"',
    ]);
    expect(stderr).toContain('  python-bytecode: rewrote /app/__pycache__/m.cpython-311.pyc\n');
  });

  test('git: clones made at two times are the same, and clean', () => {
    const lines = [
      'FROM debian:12',
      'RUN apt-get update && apt-get install -y --no-install-recommends git',
      'RUN git init -q /repo && cd /repo && echo a > f && git add f && export GIT_AUTHOR_DATE="@1000000 +0000" GIT_COMMITTER_DATE="@1000000 +0000" && git -c user.name=n -c user.email=e@example.com commit -qm one && git clone -q /repo /app',
      'RUN cd /app && test -z "$(git status --porcelain)"',
    ];
    expect(build(lines).id).toBe(build(lines).id);
  });

  test('lists what was done, and says so of cached steps', () => {
    const context = mkdtempSync(join(scratchFolder(), 'context-'));
    writeFileSync(join(context, 'Dockerfile'), 'FROM debian:12\nRUN ldconfig # listed\n');
    const words = ['build', '-q', '--explain-normalize', context];
    withBases(store, 'debian:12');
    expect(call(store, words).stderr).toMatch(
      /^normalized \[2\/2\] RUN ldconfig.*\n {2}ldconfig-cache: left out/m,
    );
    expect(call(store, words).stderr).toContain('cached: normalized when it was run');
  });
});

describe.each(kinds)('a RUN in %s', (kind) => {
  skipBecause(unlessRoot());

  test('sees a constant boot ID, fixed addresses and no serial numbers', () => {
    const probe =
      'RUN cat /proc/sys/kernel/random/boot_id /proc/self/personality > /seen; ls /sys/class/dmi/id >> /seen 2>/dev/null; grep -e heap -e stack /proc/self/maps >> /seen';
    const ids = [0, 1].map(() => build(['FROM busybox', probe], ['--sandbox', kind]).id);
    expect(ids[0]).toBe(ids[1]);
    build(
      [
        'FROM busybox',
        'RUN test "$(cat /proc/sys/kernel/random/boot_id)" = ca1ca1ca-1ca1-4ca1-8ca1-ca1ca1ca1ca1 && test "$(cat /proc/self/personality)" = 00040000',
      ],
      ['--sandbox', kind],
    );
  });

  test('counts as many CPUs as it is told', () => {
    build(['FROM busybox', 'RUN test "$(nproc)" = 1'], ['--sandbox', kind, '--visible-cpus', '1']);
    expect(() => build(['FROM busybox', 'RUN true'], ['--sandbox', kind, '--visible-cpus', '4096'])).toThrow(
      'CPUS_UNAVAILABLE',
    );
  });

  test('leaves no stub in the layer, whatever the umask of the builder is', () => {
    const context = mkdtempSync(join(scratchFolder(), 'context-'));
    writeFileSync(join(context, 'Dockerfile'), 'FROM busybox\nRUN echo > /own\n');
    withBases(store, 'busybox:latest');
    const ids = ['022', '077'].map((umask) => {
      const words = [...store.command, 'build', '-q', '--no-cache', '--sandbox', kind, context];
      const run = spawnSync('sh', ['-c', `umask ${umask}; exec "$@"`, 'sh', ...words], {
        encoding: 'utf8',
        env: { ...process.env, ...store.env },
      });
      return run.stdout.trim();
    });
    expect(ids[0]).toMatch(/^sha256:/);
    expect(ids[1]).toBe(ids[0]);
  });
});

describe('--clock frozen', () => {
  const library = spawnSync('sh', ['-c', 'ls /usr/lib/*/faketime/libfaketime*.so.1']).status === 0;
  skipBecause(firstOf(unlessRoot(), unlessInstalled('sh'), library ? undefined : 'needs libfaketime'));

  test('shows the epoch to programs of the C library, and files of it to tar', () => {
    const { id } = build(
      [
        'FROM debian:12',
        'RUN test "$(date +%s)" = 1700000000 && sleep 0.1 && test "$(date +%s.%N)" = 1700000000.000000000',
        'RUN echo > /f && tar -cf /t.tar /f && test "$(tar -tvf /t.tar --full-time | cut -d" " -f6-7)" != "" && date > /now',
      ],
      ['--clock', 'frozen', '--timestamp', '1700000000'],
    );
    expect([...pathsOf({ id, stderr: '' })].filter((path) => path.includes('cairn-clock'))).toEqual([]);
  });

  test('leaves programs alone that cannot load the library', () => {
    build(
      ['FROM busybox', 'RUN test "$(date +%s)" -gt 1700000000 && test -z "$LD_PRELOAD"'],
      ['--clock', 'frozen'],
    );
  });

  test('is part of the cache key', () => {
    const context = mkdtempSync(join(scratchFolder(), 'context-'));
    writeFileSync(join(context, 'Dockerfile'), 'FROM debian:12\nRUN date +%Y > /year\n');
    withBases(store, 'debian:12');
    const ids = [[], ['--clock', 'frozen'], []].map((args) =>
      mustCall(store, ['build', '-q', ...args, context]).trim(),
    );
    expect(ids[1]).not.toBe(ids[0]);
    expect(ids[2]).toBe(ids[0]);
  });
});
