import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SandboxKind, SandboxSpec } from '../../src/run/index.ts';
import { Bench, hostEnv, kinds, whyNot } from '../run/sandbox-harness.ts';
import { skipBecause } from '../support/skip-because.ts';

const program = new URL('../run/sandbox-program.ts', import.meta.url).pathname;

interface Inherited {
  readonly exitCode: number | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

/** Runs a sandbox in a process of its own with the given input, or one that stays open. */
function inherit(kind: SandboxKind, spec: SandboxSpec, input: string | null): Promise<Inherited> {
  const child = spawn(process.execPath, ['--import', 'tsx', program, kind, JSON.stringify(spec)], {
    env: hostEnv,
  });
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk));
  child.stdin.on('error', () => undefined);
  if (input !== null) child.stdin.end(input);
  return new Promise((resolve) => {
    child.once('close', (exitCode) =>
      resolve({ exitCode, stdout: Buffer.concat(chunks.stdout), stderr: Buffer.concat(chunks.stderr) }),
    );
  });
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

const withInput = { stdio: { kind: 'inherit', stdin: true } } as const;
const withoutInput = { stdio: { kind: 'inherit', stdin: false } } as const;

describe('standard input and output', () => {
  skipBecause(whyNot);

  describe.each(kinds)('%s', (kind) => {
    test('carry much output, in order, to its end', async () => {
      const bench = new Bench();
      const hash = createHash('sha256');
      let size = 0;
      const spec = bench.spec(
        [
          'sh',
          '-c',
          'i=0; while [ $i -lt 64 ]; do head -c 1048576 /dev/zero | tr "\\0" "$((i % 10))"; i=$((i+1)); done',
        ],
        {
          stdio: {
            kind: 'pipe',
            onOutput: (_stream, chunk) => {
              hash.update(chunk);
              size += chunk.length;
            },
          },
        },
      );
      expect(await (await bench.open(kind)).run(spec).done).toMatchObject({ exitCode: 0 });
      const expected = createHash('sha256');
      for (let index = 0; index < 64; index++) expected.update(String(index % 10).repeat(1 << 20));
      expect([size, hash.digest('hex')]).toEqual([64 << 20, expected.digest('hex')]);
    });

    test('can be opened again by their names in /dev, also by an ordinary user', async () => {
      const user = { uid: 1000, gid: 1000, additionalGids: [] };
      const command =
        'echo out > /dev/stdout; echo err > /dev/stderr; echo fd > /proc/self/fd/1; cat /dev/stdin';
      for (const changes of [{}, { user }]) {
        expect(await new Bench().run(kind, command, changes)).toMatchObject({
          exitCode: 0,
          stdout: 'out\nfd\n',
          stderr: 'err\n',
        });
      }
    });

    test('keep output and errors apart, and start with an empty input', async () => {
      const result = await new Bench().run(kind, 'echo a; echo b >&2; read x || echo "no input"; wc -c');
      expect(result).toMatchObject({ stdout: 'a\nno input\n0\n', stderr: 'b\n' });
    });

    test('break a pipe as everywhere', async () => {
      const result = await new Bench().run(kind, 'yes | head -1; yes 2>&1 >/dev/full | head -c 3');
      expect(result).toMatchObject({ exitCode: 0, stdout: 'y\nyes' });
    });

    test('are those of this process when inherited', async () => {
      const bench = new Bench();
      const input = 'line\n'.repeat(100_000);
      const spec = bench.spec(['sh', '-c', 'wc -l; echo err >&2; exit 7'], withInput);
      const result = await inherit(kind, spec, input);
      expect({ ...result, stdout: String(result.stdout), stderr: String(result.stderr) }).toEqual({
        exitCode: 7,
        stdout: '100000\n',
        stderr: 'err\n',
      });
    });

    test('do not keep this process when the command leaves input unread', async () => {
      const bench = new Bench();
      const result = await inherit(kind, bench.spec(['echo', 'done'], withInput), null);
      expect([result.exitCode, String(result.stdout)]).toEqual([0, 'done\n']);
    });

    test('give no input that was not asked for', async () => {
      const bench = new Bench();
      const result = await inherit(kind, bench.spec(['wc', '-c'], withoutInput), 'secret');
      expect(String(result.stdout)).toBe('0\n');
    });

    test('are a terminal when that is asked for, with or without one here', async () => {
      const bench = new Bench();
      const command =
        'tty; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo all; ls -la /dev/console | cut -c1; echo > /dev/tty; echo ready; read x; echo "got $x"; exit 6';
      const changes = { ...withInput, terminal: true };
      for (const around of [[], ['script', '-qec']]) {
        const spec = bench.spec(['sh', '-c', command], changes);
        const result = await inheritWithTerminal(kind, spec, 'typed\n', around);
        const text = String(result.stdout).replaceAll('\r', '');
        expect(text).toContain('/dev/pts/0\nall\nc\n\nready\n');
        expect(text).toContain('got typed\n');
        expect(result.exitCode).toBe(6);
      }
    });

    test('as a terminal make Ctrl-C a signal for the command', async () => {
      const bench = new Bench();
      const command = 'trap "echo interrupted; exit 3" INT; echo ready; while :; do sleep 0.05; done';
      const spec = bench.spec(['sh', '-c', command], { ...withInput, terminal: true });
      const result = await inheritWithTerminal(kind, spec, '\x03', ['script', '-qec']);
      expect(String(result.stdout)).toContain('interrupted');
      expect(result.exitCode).toBe(3);
    });
  });
});

/** Like `inherit`, below a terminal made by util-linux's script when `around` names it; types when the command says that it is ready. */
function inheritWithTerminal(
  kind: SandboxKind,
  spec: SandboxSpec,
  typed: string,
  around: string[],
): Promise<Inherited> {
  const argv = [process.execPath, '--import', 'tsx', program, kind, JSON.stringify(spec)];
  const line = argv.map(quote).join(' ');
  const [command, ...args] = around.length === 0 ? argv : [...around, line, '/dev/null'];
  const child = spawn(command!, args, { env: { ...hostEnv, SHELL: '/bin/sh' } });
  onTestFinished(() => void child.kill('SIGKILL'));
  const chunks: Buffer[] = [];
  let isTyped = false;
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (isTyped || !Buffer.concat(chunks).includes('ready')) return;
    isTyped = true;
    child.stdin.write(typed);
  });
  child.stdin.on('error', () => undefined);
  return new Promise((resolve) => {
    child.once('close', (exitCode) =>
      resolve({ exitCode, stdout: Buffer.concat(chunks), stderr: Buffer.alloc(0) }),
    );
  });
}
