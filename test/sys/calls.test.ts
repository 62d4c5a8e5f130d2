import { execFileSync } from 'node:child_process';
import { closeSync, lstatSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type ByteString,
  decodeDevice,
  encodeDevice,
  fromBuffer,
  fsPath,
  getXattr,
  listXattrs,
  lock,
  makeNode,
  removeXattr,
  setMtime,
  setXattr,
  syncFileSystem,
  syncFolder,
  toBytes,
  tryLock,
  unlock,
} from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

const rawName = fromBuffer(Buffer.from([0x66, 0xff, 0x80]));

function rawFile(): ByteString {
  const path = `${scratchFolder()}/${rawName}` as ByteString;
  writeFileSync(fsPath(path), 'x');
  return path;
}

describe('extended attributes', () => {
  test('keep every byte of value and path', () => {
    const path = rawFile();
    const value = fromBuffer(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)));
    setXattr(path, 'user.all', value);
    setXattr(path, 'user.empty', '' as ByteString);
    expect(listXattrs(path).filter((name) => name.startsWith('user.'))).toEqual(['user.all', 'user.empty']);
    expect(getXattr(path, 'user.all')).toBe(value);
    expect(getXattr(path, 'user.empty')).toBe('');
    removeXattr(path, 'user.all');
    removeXattr(path, 'user.all');
    expect(getXattr(path, 'user.all')).toBeNull();
  });

  test('report a missing file as Node does', () => {
    const path = toBytes('/nonexistent/ä');
    const failure = { code: 'ENOENT', errno: -2, syscall: 'llistxattr', path: '/nonexistent/ä' };
    expect(() => listXattrs(path)).toThrow(expect.objectContaining(failure));
    expect(() => listXattrs(path)).toThrow("ENOENT: no such file or directory, llistxattr '/nonexistent/ä'");
  });

  test('refuse a path that NUL would cut short', () => {
    expect(() => getXattr('/etc/passwd\0x' as ByteString, 'user.a')).toThrow(TypeError);
  });
});

describe('nodes and times', () => {
  test('a fifo is made where a name is not UTF-8', () => {
    const path = `${rawFile()}.fifo` as ByteString;
    makeNode(path, 0o600, { type: 'fifo' });
    expect(lstatSync(fsPath(path)).isFIFO()).toBe(true);
    expect(() => makeNode(path, 0o600, { type: 'fifo' })).toThrow(
      expect.objectContaining({ code: 'EEXIST' }),
    );
  });

  test.each([
    [[0, 0], 0n],
    [[1, 3], 0x103n],
    [[8, 257], 0x100801n],
    [[4095, 0xfffff], 0xffffffffn],
    [[0xfffff, 0xffffffff], 0xffffffffffffn | (0xff000n << 32n)],
  ] as const)('device %j is number %s and back', (device, number) => {
    expect(encodeDevice(device)).toBe(number);
    expect(decodeDevice(number)).toEqual(device);
  });

  test.each([0, 1, -1, -86_400 * 365, 2 ** 31 + 5, 315532801])(
    'mtime %i is exact on a symbolic link',
    (seconds) => {
      const path = `${rawFile()}.link` as ByteString;
      symlinkSync('nowhere', fsPath(path));
      setMtime(path, seconds);
      expect(lstatSync(fsPath(path), { bigint: true }).mtimeNs).toBe(BigInt(seconds) * 1_000_000_000n);
    },
  );
});

describe('locks', () => {
  test('exclude other open files, not other shared holders, and end with close', async () => {
    const path = `${scratchFolder()}/lock`;
    const [first, second] = [openSync(path, 'a+'), openSync(path, 'a+')];
    expect(tryLock(first, 'shared')).toBe(true);
    expect(tryLock(second, 'shared')).toBe(true);
    expect(tryLock(second, 'exclusive')).toBe(false);
    unlock(first);
    expect(tryLock(second, 'exclusive')).toBe(true);
    const waiting = lock(first, 'shared');
    closeSync(second);
    await waiting;
    closeSync(first);
  });

  test('a wait ends with its signal', async () => {
    const path = `${scratchFolder()}/lock`;
    const [first, second] = [openSync(path, 'a+'), openSync(path, 'a+')];
    tryLock(first, 'exclusive');
    await expect(lock(second, 'exclusive', AbortSignal.timeout(5))).rejects.toMatchObject({
      name: expect.stringMatching(/Abort|Timeout/),
    });
    closeSync(first);
    expect(tryLock(second, 'exclusive')).toBe(true);
    closeSync(second);
  });

  test('exclude other programs', () => {
    const path = `${scratchFolder()}/lock`;
    const fd = openSync(path, 'a+');
    tryLock(fd, 'exclusive');
    const other = (): string =>
      execFileSync('sh', ['-c', `flock -n "$0" true && echo free || echo held`, path], { encoding: 'utf8' });
    expect(other()).toBe('held\n');
    closeSync(fd);
    expect(other()).toBe('free\n');
  });
});

test('a folder and its file system can be synced', () => {
  const folder = scratchFolder();
  syncFolder(folder);
  syncFileSystem(folder);
  expect(() => syncFolder(`${folder}/none`)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
});

test('address randomisation goes off for programs that are started afterwards', () => {
  // The setting belongs to a thread and cannot be taken back everywhere: a process of its own tries it.
  const source = `
    import { execFileSync } from 'node:child_process';
    const sys = await import(process.argv[1]);
    const isOff = sys.disableAddressRandomization();
    const persona = execFileSync('cat', ['/proc/self/personality'], { encoding: 'utf8' });
    console.log(isOff, sys.currentPersonality(), Number.parseInt(persona, 16));`;
  const sys = new URL('../../src/sys/index.ts', import.meta.url).href;
  const argv = ['--import', 'tsx', '--input-type=module', '-e', source, sys];
  const output = execFileSync(process.execPath, argv, { encoding: 'utf8' }).trim();
  expect([`true ${0x40000} ${0x40000}`, 'false 0 0']).toContain(output);
});
