import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundledCairn, finish } from '../cli/support/bundled-cairn.ts';
import { baseImages, baseTar } from '../compare/base-images.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const cairn = bundledCairn();
const busybox = baseImages.find(({ reference }) => reference.startsWith('busybox'))!;

describe.each(['builtin', 'crun', 'runc'])('run with the %s sandbox', (sandbox) => {
  skipBecause(
    firstOf(
      unlessRoot(),
      sandbox === 'builtin' ? undefined : unlessInstalled(sandbox),
      unlessInstalled('setpriv'),
    ),
  );
  const env = { CAIRN_SANDBOX: sandbox };
  const run = (...argv: readonly string[]) =>
    cairn.run(['run', '--rm', '--network', 'none', ...argv], { env });

  beforeAll(async () => {
    if (process.getuid?.() !== 0) return;
    const imported = await cairn.run([
      'import',
      '-c',
      'CMD ["sh"]',
      '-c',
      'ENV FROM=image',
      baseTar(busybox),
      'bb',
    ]);
    expect(imported.stderr).toBe('');
  });

  test.each([
    ['success', ['bb', 'true'], 0],
    ['the command’s own code', ['bb', 'sh', '-c', 'exit 42'], 42],
    ['a code that run uses itself', ['bb', 'sh', '-c', 'exit 125'], 125],
    ['death by a signal', ['bb', 'sh', '-c', 'sh -c "kill -9 \\$\\$"; exit $?'], 137],
    ['a command that is not there', ['bb', 'nosuchcommand'], 127],
    ['a path that is not there', ['bb', '/no/such/path'], 127],
    ['a directory', ['bb', '/etc'], 126],
    ['a file that is not executable', ['bb', '/etc/passwd'], 126],
    ['PID 1 without a handler ignores its own SIGKILL', ['bb', 'sh', '-c', 'kill -9 $$; exit 3'], 3],
    ['an argument that looks like a flag', ['bb', '--foo'], 127],
  ])('exits with that of: %s', async (_, argv, code) => {
    expect((await run(...argv)).code).toBe(code);
  });

  test('a command that cannot be started is named', async () => {
    const { stderr, stdout } = await run('bb', 'nosuchcommand');
    expect(stdout).toBe('');
    expect(stderr).toContain(
      'error[COMMAND_NOT_STARTED]: exec: "nosuchcommand": executable file not found in $PATH',
    );
  });

  test('output goes where it belongs, input only with -i', async () => {
    const outcome = await run('bb', 'sh', '-c', 'echo out; echo err >&2');
    expect(outcome).toMatchObject({ code: 0, stdout: 'out\n', stderr: 'err\n' });
    const piped = async (...flags: readonly string[]): Promise<string> => {
      const child = cairn.start(['run', '--network', 'none', ...flags, 'bb', 'cat'], { env, stdin: 'pipe' });
      child.stdin?.on('error', () => {});
      child.stdin?.end('hello\n');
      return (await finish(child)).stdout;
    };
    expect(await piped('-i')).toBe('hello\n');
    expect(await piped()).toBe('');
  });

  test('a megabyte passes unchanged through standard input and output', async () => {
    const child = cairn.start(['run', '--network', 'none', '-i', 'bb', 'cat'], { env, stdin: 'pipe' });
    const text = 'x'.repeat(1023).concat('\n').repeat(1024);
    child.stdin?.end(text);
    expect((await finish(child)).stdout === text).toBe(true);
  });

  test('variables, user, folder and host name are what the flags say', async () => {
    const script = 'id -u; id -g; pwd; hostname; echo $FROM $A $HOME';
    const { stdout } = await run(
      '-u',
      '7:8',
      '-w',
      '/made/here',
      '-h',
      'myhost',
      '-e',
      'A=1',
      'bb',
      'sh',
      '-c',
      script,
    );
    expect(stdout).toBe('7\n8\n/made/here\nmyhost\nimage 1 /\n');
    const plain = await run('bb', 'sh', '-c', 'id -u; pwd; hostname; echo $HOME');
    expect(plain.stdout).toMatch(/^0\n\/\n[0-9a-f]{12}\n\/root\n$/);
  });

  test('the environment file, then -e; --entrypoint replaces', async () => {
    const file = join(cairn.folder(), 'env');
    writeFileSync(file, 'X=file\nY=file\n');
    const { stdout } = await run(
      '--env-file',
      file,
      '-e',
      'Y=flag',
      '--entrypoint',
      '/bin/echo',
      'bb',
      'a b',
      '$X',
    );
    expect(stdout).toBe('a b $X\n');
    const shown = await run('--env-file', file, '-e', 'Y=flag', 'bb', 'sh', '-c', 'echo $X $Y');
    expect(shown.stdout).toBe('file flag\n');
  });

  test('volumes and tmpfs', async () => {
    const folder = join(cairn.folder(), 'volume');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'in'), 'from host\n');
    const script = 'cat /v/in; echo back > /v/out; touch /ro/x || echo read-only; stat -f -c %T /t';
    const { stdout } = await run(
      '-v',
      `${folder}:/v`,
      '-v',
      `${folder}:/ro:ro`,
      '--tmpfs',
      '/t',
      'bb',
      'sh',
      '-c',
      script,
    );
    expect(stdout).toBe('from host\nread-only\ntmpfs\n');
    expect(readFileSync(join(folder, 'out'), 'utf8')).toBe('back\n');
  });

  test('--read-only, --network none, --add-host', async () => {
    const readOnly = await run('--read-only', 'bb', 'touch', '/x');
    expect(readOnly.code).toBe(1);
    expect(readOnly.stderr).toContain('Read-only file system');
    const { stdout } = await run(
      '--add-host',
      'friend:10.1.2.3',
      'bb',
      'sh',
      '-c',
      'ls /sys/class/net; grep friend /etc/hosts',
    );
    expect(stdout).toMatch(/^lo\n10\.1\.2\.3\s+friend\n$/);
  });

  test('nothing is kept of what the command wrote', async () => {
    await run('bb', 'sh', '-c', 'echo x > /leftover');
    expect((await run('bb', 'test', '-e', '/leftover')).code).toBe(1);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'] as const)('%s reaches the command', async (signal) => {
    const script = `trap "echo got; exit 9" ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
    const child = cairn.start(['run', '--network', 'none', 'bb', 'sh', '-c', script], { env });
    const done = finish(child);
    await new Promise<void>((resolve) => child.stdout?.on('data', () => resolve()));
    child.kill(signal);
    expect(await done).toMatchObject({ code: 9, stdout: 'ready\ngot\n' });
  });

  test('a command that ignores signals goes with the third one, and leaves no process', async () => {
    const marker = `31${process.pid}.5`;
    const child = cairn.start(['run', '--network', 'none', 'bb', 'sh', '-c', `echo ready; sleep ${marker}`], {
      env,
    });
    const done = finish(child);
    await new Promise<void>((resolve) => child.stdout?.on('data', () => resolve()));
    for (let count = 0; count < 3; count++) {
      child.kill('SIGINT');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect((await done).stderr).toContain('got 3 SIGTERM/SIGINTs, forcefully exiting');
    expect(spawnSync('pgrep', ['-f', `sleep ${marker}`], { encoding: 'utf8' }).stdout).toBe('');
  });
});

describe.each(['builtin', 'crun', 'runc'])('a terminal from the %s sandbox', (sandbox) => {
  skipBecause(
    firstOf(
      unlessRoot(),
      unlessInstalled('setpriv', 'script'),
      sandbox === 'builtin' ? undefined : unlessInstalled(sandbox),
    ),
  );

  test('is there with -t, and the exit code is the command’s', async () => {
    await cairn.run(['import', baseTar(busybox), 'bb']);
    const command = `exec ${process.execPath} ${join(cairn.folder(), 'dist/cli.js')} run --network none -it bb sh -c 'tty; echo $TERM; exit 5'`;
    const child = spawn('script', ['-qec', command, '/dev/null'], {
      env: { PATH: process.env.PATH, CAIRN_ROOT: join(cairn.folder(), 'store'), CAIRN_SANDBOX: sandbox },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const { stdout, code } = await finish(child);
    expect({ stdout, code }).toEqual({ stdout: '/dev/pts/0\r\nxterm\r\n', code: 5 });
  });
});

describe('Ctrl-C during a build', () => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('setpriv')));

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)(
    '%s exits with %i, leaves no process and a clean store; the next build works',
    async (signal, code) => {
      const context = join(cairn.folder(), `context-${signal}`);
      mkdirSync(context);
      const marker = `32${process.pid}.${code}`;
      writeFileSync(join(context, 'Dockerfile'), `FROM bb\nRUN echo started; sleep ${marker} || true\n`);
      await cairn.run(['import', baseTar(busybox), 'bb']);
      const child = cairn.start(['build', context]);
      const done = finish(child);
      await new Promise<void>((resolve) =>
        child.stderr?.on('data', (chunk: Buffer) => {
          if (/\d started\n/.test(chunk.toString())) resolve();
        }),
      );
      child.kill(signal);
      const outcome = await done;
      expect(outcome).toMatchObject({ code, stdout: '' });
      expect(outcome.stderr).toContain(`cairn: stopped by ${signal}\n`);
      expect(spawnSync('pgrep', ['-f', `sleep ${marker}`], { encoding: 'utf8' }).stdout).toBe('');
      expect(await cairn.run(['fsck'])).toMatchObject({ code: 0 });
      writeFileSync(join(context, 'Dockerfile'), 'FROM bb\nRUN echo fine\n');
      expect((await cairn.run(['build', '-q', context])).code).toBe(0);
    },
  );
});

describe('a failing RUN', () => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('setpriv')));

  test.each(['plain', 'quiet'])(
    'exits with 1 and shows its log to the end with --progress=%s (row I11)',
    async (progress) => {
      const context = join(cairn.folder(), `failing-${progress}`);
      mkdirSync(context);
      const script =
        'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; done; echo the cause >&2; exit 3';
      writeFileSync(join(context, 'Dockerfile'), `FROM bb\nRUN ${script}\n`);
      await cairn.run(['import', baseTar(busybox), 'bb']);
      const { code, stdout, stderr } = await cairn.run(['build', '--progress', progress, context]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      for (const line of ['line 1', 'line 150', 'line 300', 'the cause'])
        expect(stderr).toMatch(new RegExp(`(^|\\d )${line}$`, 'm'));
      expect(stderr).toMatch(/------\n > \[2\/2\] RUN i=0;/);
      expect(stderr).toContain('error[RUN_FAILED]: process "/bin/sh -c i=0;');
      expect(stderr).toContain('did not complete successfully: exit code: 3');
      expect(stderr).toMatch(/--> .*Dockerfile:2:1\n/);
    },
  );
});
