import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

// CLONE_NEWNS belongs to a thread: each case runs in a process of its own, whose namespace ends with it.
function isolated(body: string, folder: string): unknown {
  const source = `
    import * as fs from 'node:fs';
    import * as os from 'node:os';
    import koffi from 'koffi';
    const sys = await import(process.argv[1]);
    const { libc } = await import(process.argv[1].replace('index.ts', 'libc.ts'));
    const folder = process.argv[2];
    try { console.log(JSON.stringify({ result: (() => { ${body} })() ?? null })); }
    catch (error) { console.log(JSON.stringify({ error: { ...error, message: error.message } })); }`;
  const sys = new URL('../../src/sys/index.ts', import.meta.url).href;
  const argv = ['--import', 'tsx', '--input-type=module', '-e', source, sys, folder];
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' }));
}

describe('mounts', () => {
  skipBecause(unlessRoot());
  test('overlay takes 127 layers with long and awkward paths, and shows nothing outside', () => {
    const folder = scratchFolder();
    const outcome = isolated(
      `
      sys.unshareMounts();
      sys.mount(folder, { source: 'tmp', type: 'tmpfs', flags: ['no-dev', 'no-suid'] });
      const lowerDirs = Array.from({ length: 127 }, (_, i) => folder + '/' + 'x'.repeat(i * 2) + (i % 2 ? ':,' : '') + i);
      for (const [i, dir] of lowerDirs.entries()) { fs.mkdirSync(dir); fs.writeFileSync(dir + '/top', String(i)); fs.writeFileSync(dir + '/f' + i, ''); }
      for (const name of ['upper', 'work', 'merged']) fs.mkdirSync(folder + '/' + name);
      const target = folder + '/merged';
      sys.mountOverlay(target, { lowerDirs, upper: { upperDir: folder + '/upper', workDir: folder + '/work' }, options: { metacopy: 'off', redirect_dir: 'off' } });
      const names = fs.readdirSync(target).length, top = fs.readFileSync(target + '/top', 'utf8');
      fs.rmSync(target + '/f5');
      const whiteout = fs.lstatSync(folder + '/upper/f5');
      sys.unmount(target);
      return { names, top, whiteout: [whiteout.isCharacterDevice(), whiteout.rdev], after: fs.readdirSync(target).length };`,
      folder,
    );
    expect(outcome).toEqual({ result: { names: 128, top: '126', whiteout: [true, 0], after: 0 } });
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(folder);
  });

  test.each(['fsopen', 'fsconfig'])(
    'a kernel without %s for overlay gets an option string, with 200 layers',
    (missing) => {
      const folder = scratchFolder();
      const errno = missing === 'fsopen' ? 'ENOSYS' : 'EINVAL';
      const outcome = isolated(
        `
      libc()['${missing}'] = () => { koffi.errno(os.constants.errno.${errno}); return -1; };
      sys.unshareMounts();
      const lowerDirs = Array.from({ length: 200 }, (_, i) => folder + '/' + 'x'.repeat(40) + (i % 2 ? ':,' : '') + i);
      for (const [i, dir] of lowerDirs.entries()) { fs.mkdirSync(dir); fs.writeFileSync(dir + '/top', String(i)); }
      const target = folder + '/merged';
      fs.mkdirSync(target);
      sys.mountOverlay(target, { lowerDirs, flags: ['read-only'] });
      return fs.readFileSync(target + '/top', 'utf8');`,
        folder,
      );
      expect(outcome).toEqual({ result: '199' });
    },
  );

  test('a failing overlay says what the kernel says', () => {
    const outcome = isolated(
      `sys.unshareMounts(); sys.mountOverlay(folder, { lowerDirs: [folder], options: { bogus: 'x' } });`,
      scratchFolder(),
    );
    expect(outcome).toMatchObject({
      error: { code: 'EINVAL', syscall: 'fsconfig', message: expect.stringContaining('bogus') },
    });
  });

  test('an error of unmounting names code, call and path', () => {
    const folder = scratchFolder();
    const outcome = isolated(`sys.unmount(folder);`, folder);
    expect(outcome).toMatchObject({ error: { code: 'EINVAL', syscall: 'umount2', path: folder } });
  });
});
