import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listTree } from '../run/list-tree.ts';
import { Bench, kinds, whyNot } from '../run/sandbox-harness.ts';
import { skipBecause } from '../support/skip-because.ts';

describe('what a command leaves', () => {
  skipBecause(whyNot);

  describe.each(kinds)('%s', (kind) => {
    test('is nothing when it changes nothing', async () => {
      const bench = new Bench();
      const { upperDir } = await bench.run(kind, 'ls / /etc /dev > /dev/null', {
        mounts: [
          { kind: 'tmpfs', target: '/a/b/c' },
          { kind: 'tmpfs', target: '/tmp/t' },
          { kind: 'bind', source: bench.hostFolder('data'), target: '/etc/deep/data', readOnly: true },
          { kind: 'bind', source: join(bench.lower, 'etc/passwd'), target: '/run/secrets/x', readOnly: true },
        ],
      });
      expect(listTree(upperDir)).toEqual([]);
    });

    test('is what it wrote, the mount points beside it left out', async () => {
      const bench = new Bench();
      const commands = [
        'echo x > /etc/new; chmod 600 /etc/new',
        'mkdir -m 700 /d; ln -s target /d/link; mknod /d/null c 1 3; mknod /d/disk b 8 1; mkfifo -m 644 /d/pipe',
        'rm /etc/group; rm -r /tmp; mv /bin/ls /bin/ls2',
        'touch /a/b/kept; chown 1000:44 /a/b/kept; echo mounted > /a/b/c/gone; echo y > /dev/gone; echo z > /dev/shm/gone',
        'chmod 711 /run',
      ];
      const result = await bench.run(kind, `set -e; ${commands.join('\n')}`, {
        mounts: [
          { kind: 'tmpfs', target: '/a/b/c' },
          { kind: 'tmpfs', target: '/run/x' },
        ],
      });
      expect(result).toMatchObject({ exitCode: 0, stderr: '' });
      expect(listTree(result.upperDir)).toEqual([
        'a dir 755 0:0',
        'a/b dir 755 0:0',
        'a/b/kept file() 644 1000:44',
        'bin dir 755 0:0',
        'bin/ls char(0) 0 0:0',
        'bin/ls2 link(busybox) 777 0:0',
        'd dir 700 0:0',
        'd/disk block(2049) 644 0:0',
        'd/link link(target) 777 0:0',
        'd/null char(259) 644 0:0',
        'd/pipe other 644 0:0',
        'etc dir 755 0:0',
        'etc/group char(0) 0 0:0',
        'etc/new file(x\n) 600 0:0',
        'run dir 711 0:0',
        'tmp char(0) 0 0:0',
      ]);
    });

    test('does not show in the times of directories that only held mount points', async () => {
      const bench = new Bench();
      const longAgo = new Date('2001-02-03T04:05:06Z');
      for (const name of ['etc', 'tmp', '']) utimesSync(join(bench.lower, name), longAgo, longAgo);
      const result = await bench.run(kind, 'stat -c %Y /etc /tmp /; echo x > /etc/passwd', {
        mounts: [{ kind: 'tmpfs', target: '/tmp/t' }],
      });
      const seconds = String(longAgo.getTime() / 1000);
      expect(result.stdout.split('\n').slice(0, 2)).toEqual([seconds, seconds]);
      expect(lstatSync(join(result.upperDir, 'etc')).mtimeMs).toBe(longAgo.getTime());
      expect(existsSync(join(result.upperDir, 'tmp'))).toBe(false);
    });

    test('survives a command that moves the directories of mount points', async () => {
      const bench = new Bench();
      const result = await bench.run(
        kind,
        'mkdir /n; mv /etc/passwd /n/; rm -rf /etc 2>/dev/null; ls -A /etc',
      );
      expect(result.stdout.trim().split(/\s+/).sort()).toEqual(['hosts', 'resolv.conf']);
      expect(listTree(result.upperDir).filter((line) => line.startsWith('etc'))).toEqual([
        'etc dir 755 0:0',
        'etc/group char(0) 0 0:0',
        'etc/passwd char(0) 0 0:0',
      ]);
    });

    test.each([
      [
        '/etc is an absolute link',
        (root: string) => {
          execFileSync('mv', [join(root, 'etc'), join(root, 'real-etc')]);
          symlinkSync('/real-etc', join(root, 'etc'));
        },
      ],
      [
        '/etc/resolv.conf is a link to a missing file',
        (root: string) => symlinkSync('../run/resolve/stub.conf', join(root, 'etc/resolv.conf')),
      ],
      [
        '/etc/hosts is a link out of the root',
        (root: string) =>
          symlinkSync('../../../../../../../../../../tmp/cairn-outside', join(root, 'etc/hosts')),
      ],
    ])('stays inside the root when %s', async (_what, change) => {
      const bench = new Bench();
      change(bench.lower);
      const result = await bench.run(kind, 'head -1 /etc/hosts; wc -l < /etc/resolv.conf');
      expect(result).toMatchObject({ exitCode: 0, stderr: '' });
      expect(result.stdout).toMatch(/^127\.0\.0\.1\tlocalhost buildkitsandbox\n\d+\n$/);
      expect(listTree(result.upperDir)).toEqual([]);
      expect(existsSync('/tmp/cairn-outside')).toBe(false);
    });

    test('goes through mounts only where they are writable', async () => {
      const bench = new Bench();
      const [writable, readOnly] = [bench.hostFolder('w'), bench.hostFolder('r')];
      writeFileSync(join(readOnly, 'file'), 'from the host');
      const result = await bench.run(
        kind,
        'cat /r/file; echo in > /w/file; echo in > /r/file; echo in > /etc/hosts; df /s | tail -1 | cut -c1-5; stat -c %a /s',
        {
          mounts: [
            { kind: 'bind', source: writable, target: '/w', readOnly: false },
            { kind: 'bind', source: readOnly, target: '/r', readOnly: true },
            { kind: 'tmpfs', target: '/s', sizeBytes: 1 << 20, mode: 0o700 },
          ],
        },
      );
      expect(result.stdout).toBe('from the hosttmpfs\n700\n');
      expect(result.stderr.match(/Read-only file system/g)).toHaveLength(2);
      expect(readFileSync(join(writable, 'file'), 'utf8')).toBe('in\n');
      expect(listTree(result.upperDir)).toEqual([]);
    });

    test('mounts one below another, whatever their order', async () => {
      const bench = new Bench();
      const result = await bench.run(kind, 'grep -o " /m[^ ]*" /proc/mounts', {
        mounts: [
          { kind: 'tmpfs', target: '/m/inner' },
          { kind: 'tmpfs', target: '/m' },
        ],
      });
      expect(result.stdout).toBe(' /m\n /m/inner\n');
      expect(listTree(result.upperDir)).toEqual([]);
    });

    test('cannot be anything when the root is read-only', async () => {
      const bench = new Bench();
      const result = await bench.run(
        kind,
        'touch /x /etc/x; mknod /n c 1 5; touch /tmp/x && echo ok; touch /dev/x && echo ok',
        {
          readOnlyRoot: true,
          mounts: [{ kind: 'tmpfs', target: '/tmp' }],
        },
      );
      expect(result.stdout).toBe('ok\nok\n');
      expect(result.stderr.match(/Read-only file system/g)).toHaveLength(3);
      expect(listTree(result.upperDir)).toEqual([]);
    });

    test('lies on top of 127 layers and more, the last one winning', async () => {
      const bench = new Bench();
      const layers = Array.from({ length: 200 }, (_, index) => {
        const layer = join(bench.folder, `layer-with-a-long-name-${'x'.repeat(64)}-${index}`);
        mkdirSync(layer);
        writeFileSync(join(layer, 'top'), String(index));
        writeFileSync(join(layer, `f${index}`), '');
        return layer;
      });
      for (const count of [127, 200]) {
        const lowerDirs = [bench.lower, ...layers.slice(0, count - 1)];
        const result = await bench.run(kind, 'cat /top; ls / | grep -c ^f; rm /f7', { lowerDirs });
        expect(result.stdout).toBe(`${count - 2}${count - 1}\n`);
        expect(listTree(result.upperDir)).toEqual(['f7 char(0) 0 0:0']);
      }
    });

    test('is refused when a mount does not fit what is there', async () => {
      const bench = new Bench();
      const mounts = [{ kind: 'tmpfs', target: '/etc/passwd' } as const];
      await expect(bench.run(kind, 'true', { mounts })).rejects.toMatchObject({
        code: 'MOUNT_TARGET_INVALID',
      });
      const below = [{ kind: 'tmpfs', target: '/etc/passwd/x' } as const];
      await expect(bench.run(kind, 'true', { mounts: below })).rejects.toMatchObject({
        code: 'NOT_A_DIRECTORY',
      });
    });
  });

  test('is the same in all sandboxes', async () => {
    const command = [
      'id > /id; env | sort > /env; hostname > /hostname; cat /proc/mounts | cut -d" " -f2 | sort > /mounts',
      'mkdir -p /x/y/z; chmod 1777 /x; touch /x/f; ln /x/f /x/g; umask > /umask; ls -la /dev | wc -l > /dev-count',
      'cp /bin/busybox /x/; chmod 4755 /x/busybox; rm -rf /tmp; mkdir /tmp; echo $$ $PPID > /pids; ulimit -a > /limits',
    ].join('\n');
    const trees = await Promise.all(
      kinds.map(async (kind) => listTree((await new Bench().run(kind, command)).upperDir)),
    );
    expect(trees[0]!.length).toBeGreaterThan(10);
    for (const tree of trees) expect(tree).toEqual(trees[0]);
  });
});
