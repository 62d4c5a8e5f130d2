import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Bench, kinds, whyNot } from '../run/sandbox-harness.ts';
import { skipBecause } from '../support/skip-because.ts';

describe('starting a command', () => {
  skipBecause(whyNot);

  describe.each(kinds)('%s', (kind) => {
    test.each([
      [0, 'exit 0'],
      [1, 'exit 1'],
      [125, 'exit 125'],
      [126, 'exit 126'],
      [127, 'exit 127'],
      [255, 'exit 255'],
      [127, 'not-a-command'],
      [143, 'sh -c "kill \\$\\$"; exit $?'],
    ])("gives the exit code %i of the command's own", async (exitCode, command) => {
      const result = await new Bench().run(kind, command);
      expect([result.exitCode, result.startError]).toEqual([exitCode, undefined]);
    });

    test.each([
      ['nope', 127, 'exec: "nope": executable file not found in $PATH'],
      ['', 127, 'exec: "": executable file not found in $PATH'],
      ['/bin/nope', 127, 'exec: "/bin/nope": stat /bin/nope: no such file or directory'],
      ['/', 126, 'exec: "/": is a directory'],
      ['/etc/passwd', 126, 'exec: "/etc/passwd": permission denied'],
      ['/etc/passwd/x', 126, 'exec: "/etc/passwd/x": stat /etc/passwd/x: not a directory'],
      ['./relative', 127, 'exec: "./relative": stat /./relative: no such file or directory'],
    ])('says why %j cannot be started', async (name, exitCode, startError) => {
      const result = await new Bench().run(kind, [name]);
      expect(result).toMatchObject({ exitCode, startError, stdout: '', stderr: '' });
    });

    test.each([
      [
        'a script whose interpreter is missing',
        '#!/no/such/interpreter\n',
        127,
        /no such file or directory/i,
      ],
      ['a script with CRLF line ends', '#!/bin/sh\r\necho\r\n', 127, /no such file or directory/i],
      ['a script for a script for nothing', '#!/bin/odd2\n', 127, /no such file or directory/i],
      ['a file that is no program', 'just text\n', 126, /exec format error/i],
    ])('says why %s cannot be started', async (_what, content, exitCode, reason) => {
      const bench = new Bench();
      writeFileSync(join(bench.lower, 'bin/odd'), content);
      chmodSync(join(bench.lower, 'bin/odd'), 0o755);
      writeFileSync(join(bench.lower, 'bin/odd2'), '#! /bin/nothing -x\n', { mode: 0o755 });
      const result = await bench.run(kind, ['odd']);
      expect(result).toMatchObject({ exitCode, stdout: '', stderr: '' });
      expect(result.startError).toMatch(reason);
    });

    test('says why a program whose loader is missing cannot be started', async () => {
      const bench = new Bench();
      copyFileSync(process.execPath, join(bench.lower, 'bin/node'));
      const result = await bench.run(kind, ['node', '--version']);
      expect(result).toMatchObject({
        exitCode: 127,
        startError: 'exec /bin/node: no such file or directory',
        stderr: '',
      });
    });

    test("looks programs up in the image's PATH only, links followed inside the image", async () => {
      const bench = new Bench();
      mkdirSync(join(bench.lower, 'opt/real'), { recursive: true });
      writeFileSync(join(bench.lower, 'opt/real/hello'), '#!/bin/sh\necho "hello $1"\n', { mode: 0o755 });
      symlinkSync('/opt/real', join(bench.lower, 'opt/linked'));
      symlinkSync('/opt/linked/hello', join(bench.lower, 'opt/hi'));
      const env = ['PATH=/nowhere:/opt'];
      expect(await bench.run(kind, ['hi', 'you'], { env })).toMatchObject({
        stdout: 'hello you\n',
        exitCode: 0,
      });
      expect(await bench.run(kind, ['sh'], { env })).toMatchObject({ exitCode: 127 });
    });

    test('needs nothing of the image but the program', async () => {
      const bench = new Bench();
      const bare = join(bench.folder, 'bare');
      mkdirSync(bare);
      writeFileSync(join(bare, 'x'), '');
      const result = await bench.run(kind, ['/x'], { lowerDirs: [bare] });
      expect(result).toMatchObject({ exitCode: 126, startError: 'exec: "/x": permission denied' });
      expect(await bench.run(kind, ['/x'], { lowerDirs: [] })).toMatchObject({ exitCode: 127 });
    });

    test('creates the working directory, which stays, and starts there', async () => {
      const bench = new Bench();
      const result = await bench.run(kind, 'pwd; ls -ld . | cut -d" " -f1', { cwd: '/work/deep' });
      expect(result.stdout).toBe('/work/deep\ndrwxr-xr-x\n');
      expect(existsSync(join(result.upperDir, 'work/deep'))).toBe(true);
    });

    test("as a user, keeps the user from what is root's", async () => {
      const user = { uid: 1000, gid: 1000, additionalGids: [] };
      const result = await new Bench().run(kind, 'id -u; touch /x; cat /etc/shadow; echo $HOME', { user });
      expect(result.stdout).toBe('1000\n/root\n');
      expect(result.stderr).toContain('touch: /x: Permission denied');
    });

    test('passes arguments as they are', async () => {
      const argv = ['printf', '%s|', 'a b', '', '$HOME', '"', 'ü\n'];
      expect((await new Bench().run(kind, argv)).stdout).toBe('a b||$HOME|"|ü\n|');
    });

    test('works for two commands at once', async () => {
      const bench = new Bench();
      const results = await Promise.all(
        ['a', 'b', 'c'].map((name) =>
          bench.run(kind, `hostname; sleep 0.2; echo ${name} > /${name}; ls /`, { hostname: name }),
        ),
      );
      expect(results.map(({ stdout }) => stdout.split('\n')[0])).toEqual(['a', 'b', 'c']);
      for (const [index, { upperDir }] of results.entries()) {
        expect(['a', 'b', 'c'].filter((name) => existsSync(join(upperDir, name)))).toEqual([
          ['a', 'b', 'c'][index],
        ]);
      }
    });
  });
});
