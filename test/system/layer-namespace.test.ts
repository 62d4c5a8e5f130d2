import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type RawMember, rawTar } from '../support/raw-tar.ts';
import { skipBecause } from '../support/skip-because.ts';

describe('in a user namespace with one id', () => {
  const allowed = spawnSync('unshare', ['--user', '--map-root-user', 'true']).status === 0;
  skipBecause(allowed ? undefined : 'needs user namespaces');
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync('/dev/shm/cairn-test-');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Unpacks layers there, mounts them as unprivileged overlay does, and runs a script in the result. */
  const inNamespace = (layers: readonly RawMember[][], script: string): unknown => {
    for (const [index, members] of layers.entries()) writeFileSync(`${folder}/${index}.tar`, rawTar(members));
    const source = `
      import * as fs from 'node:fs';
      import { execFileSync, spawnSync } from 'node:child_process';
      const [url, folder, count, script] = process.argv.slice(1);
      const { TocBuilder, emptyTree, unpackLayer, scanUpper } = await import(url + 'store/layer/index.ts');
      const sys = await import(url + 'sys/index.ts');
      try {
        let tree = emptyTree();
        const lowerDirs = [];
        for (let i = 0; i < Number(count); i++) {
          const tarPath = folder + '/' + i + '.tar', target = folder + '/' + i;
          const builder = new TocBuilder();
          builder.write(fs.readFileSync(tarPath));
          const toc = builder.finish();
          fs.mkdirSync(target);
          unpackLayer(toc, { target, tarPath, parent: { tree }, overlayXattrs: 'user' });
          tree = tree.apply(toc);
          lowerDirs.push(target);
        }
        for (const name of ['upper', 'work', 'merged']) fs.mkdirSync(folder + '/' + name);
        const upper = { upperDir: folder + '/upper', workDir: folder + '/work' };
        sys.mountOverlay(folder + '/merged', { lowerDirs, upper, options: { userxattr: null } });
        execFileSync('sh', ['-ec', script], { cwd: folder + '/merged' });
        const merged = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P '], { cwd: folder + '/merged', encoding: 'utf8' });
        const entries = scanUpper(folder + '/upper', tree, { epoch: 1000, overlayXattrs: 'user' });
        console.log(JSON.stringify({ merged: merged.trim().split(' ').sort(), changes: entries.map(({ type, path }) => type + ' ' + path) }));
      } catch (error) {
        console.log(JSON.stringify({ code: error.code, message: error.message }));
      }`;
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', source];
    const url = new URL('../../src/', import.meta.url).href;
    const argv = [
      '--user',
      '--map-root-user',
      '--mount',
      ...node,
      url,
      folder,
      String(layers.length),
      script,
    ];
    return JSON.parse(execFileSync('unshare', argv, { encoding: 'utf8' }));
  };

  test('layers unpack, mount with userxattr and scan as for root', () => {
    const base: RawMember[] = [
      { name: 'd/', flag: '5' },
      { name: 'd/a', body: 'a' },
      { name: 'd/b' },
      { name: 'e/', flag: '5' },
      { name: 'e/x' },
      { name: 'f' },
    ];
    const top: RawMember[] = [
      { name: 'd/', flag: '5' },
      { name: 'd/.wh.a' },
      { name: 'e/', flag: '5' },
      { name: 'e/.wh..wh..opq' },
      { name: 'e/y' },
    ];
    expect(inNamespace([base, top], 'rm f; rm -r d; mkdir d; touch d/new e/z')).toEqual({
      merged: ['d', 'd/new', 'e', 'e/y', 'e/z'],
      changes: ['dir d', 'whiteout d/b', 'file d/new', 'dir e', 'file e/z', 'whiteout f'],
    });
  });

  // Its true owner is noted beside it, so that it neither fails nor becomes a change of the next command.
  test('a file of an owner that is not mapped is unpacked, and is no change', () => {
    const member: RawMember = { name: 'a', uid: '0000005\0' };
    expect(inNamespace([[member]], 'true')).toEqual({ merged: ['a'], changes: [] });
  });

  // The kernel makes no devices there; /dev is the sandbox's own anyway.
  test('a device is left out, and that is no change', () => {
    const member: RawMember = { name: 'a', flag: '3', major: '0000001\0', minor: '0000003\0' };
    expect(inNamespace([[member]], 'true')).toMatchObject({ changes: [] });
  });
});
