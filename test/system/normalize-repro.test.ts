import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { main } from '../repro/main.ts';
import { scratchFolder } from '../support/scratch.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

/** A slice of `npm run repro` for every day; the whole takes hours. */
describe('two environments that differ in nearly everything', () => {
  const library = `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/faketime/libfaketimeMT.so.1`;
  skipBecause(
    firstOf(
      unlessRoot(),
      unlessInstalled('crun', 'mkfs.ext4', 'mkfs.btrfs', 'losetup'),
      existsSync(library) ? undefined : 'needs libfaketime',
    ),
  );
  const environments = ['ext4-crun', 'btrfs-crun-later'].flatMap((name) => ['--environment', name]);
  const matrix = (...names: string[]): Promise<number> =>
    main([
      ...environments,
      ...names.flatMap((name) => ['--only', name]),
      ...['--cairn', process.env.CAIRN_PROGRAM ?? 'bin/cairn.js', '--work', scratchFolder()],
    ]);

  test('give the same images', async () => {
    expect(
      await matrix('ldconfig', 'useradd', 'update-alternatives', 'heredoc-script', 'copy-globs', 'workdir'),
    ).toBe(0);
  });

  test('give other images where a RUN asks for the time, in spite of everything', async () => {
    expect(await matrix('shell-files', 'dpkg-build-deb')).toBe(0);
    expect(await matrix('app-entrypoint-script', 'setuptools-sdist')).toBe(1);
  });
});
