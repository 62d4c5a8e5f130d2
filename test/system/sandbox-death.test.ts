import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SandboxKind, SandboxSpec } from '../../src/run/index.ts';
import { eventually, processesWith } from '../run/host-processes.ts';
import { Bench, hostEnv, kinds, whyNot } from '../run/sandbox-harness.ts';
import { skipBecause } from '../support/skip-because.ts';

const program = new URL('../run/sandbox-program.ts', import.meta.url).pathname;

/** A number of seconds that names the processes of one test. */
let marker = 700000 + (process.pid % 10000) * 20;

function nextMarker(): string {
  return String(marker++);
}

function startProgram(kind: SandboxKind, spec: SandboxSpec): ChildProcess {
  const argv = ['--import', 'tsx', program, kind, JSON.stringify(spec)];
  const child = spawn(process.execPath, argv, { env: hostEnv, stdio: ['ignore', 'ignore', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals | null> {
  return new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
}

const inherit = { stdio: { kind: 'inherit', stdin: false } } as const;

/** Starts processes that want to outlive everything, and tells by the file `go` when all are there. */
function daemons(seconds: string): string {
  return [
    `sleep ${seconds} &`,
    `setsid sleep ${seconds} </dev/null >/dev/null 2>&1 &`,
    `setsid sh -c 'trap "" TERM HUP INT; setsid sleep ${seconds} & sleep ${seconds}' >/dev/null 2>&1 &`,
    `su user -c 'sleep ${seconds}' &`,
    'sleep 0.3',
  ].join('\n');
}

describe('the end of a command', () => {
  skipBecause(whyNot);

  describe.each(kinds)('%s', (kind) => {
    test('ends its background processes before the result is there', async () => {
      const seconds = nextMarker();
      const result = await new Bench().run(kind, `${daemons(seconds)}\necho done; exit 4`);
      expect(processesWith(`sleep\0${seconds}`)).toEqual([]);
      expect(result).toMatchObject({ exitCode: 4, stdout: 'done\n' });
    });

    test('comes when the sandbox is aborted, for every process', async () => {
      const seconds = nextMarker();
      const bench = new Bench();
      const controller = new AbortController();
      const spec = bench.spec(['sh', '-c', `${daemons(seconds)}\nsleep ${seconds}`], {
        signal: controller.signal,
      });
      const { done } = (await bench.open(kind)).run(spec);
      await eventually('the processes are there', () => processesWith(`sleep\0${seconds}`).length >= 5);
      controller.abort();
      await expect(done).rejects.toMatchObject({ code: 'ABORTED' });
      expect(processesWith(seconds)).toEqual([]);
    });

    test('does not come to pass at all when it was aborted before', async () => {
      const bench = new Bench();
      const spec = bench.spec(['touch', '/x'], { signal: AbortSignal.abort() });
      const { done } = (await bench.open(kind)).run(spec);
      await expect(done).rejects.toMatchObject({ code: 'ABORTED' });
      expect(existsSync(join(spec.scratch, 'upper/x'))).toBe(false);
    });

    test.each([
      ['a shell', ['sh', '-c']],
      ['a program that changed its user', ['su', 'user', '-c']],
    ])('comes for every process when Cairn is killed while %s runs', async (_name, shell) => {
      const seconds = nextMarker();
      const bench = new Bench();
      const spec = bench.spec([...shell, `${daemons(seconds)}\nexec sleep ${seconds}`], inherit);
      const child = startProgram(kind, spec);
      const exited = exitOf(child);
      await eventually('the processes are there', () => processesWith(`sleep\0${seconds}`).length >= 5);
      child.kill('SIGKILL');
      expect(await exited).toBe('SIGKILL');
      await eventually('all are gone', () => processesWith(seconds).length === 0);
    });

    test('comes for every process when Cairn is killed at any instant', async () => {
      const seconds = nextMarker();
      const bench = new Bench();
      for (let delay = 0; delay < 60; delay += 3) {
        const spec = bench.spec(['sh', '-c', `sleep ${seconds} & exec sleep ${seconds}`], inherit);
        // The folders of a step appear just before its processes do.
        const child = startProgram(kind, spec);
        const exited = exitOf(child);
        await eventually('the step begins', () => existsSync(join(spec.scratch, 'resolv.conf')));
        await new Promise((resolve) => setTimeout(resolve, delay));
        child.kill('SIGKILL');
        await exited;
      }
      await eventually('all are gone', () => processesWith(seconds).length === 0);
    });

    test('by a signal gives 128 and its number', async () => {
      const bench = new Bench();
      // Init ignores signals without a handler, even its own.
      const command = 'sh -c "kill -9 \\$\\$"; echo $?; kill -9 $$; echo alive';
      expect(await bench.run(kind, command)).toMatchObject({ stdout: '137\nalive\n', exitCode: 0 });
      const { done, kill } = (await bench.open(kind)).run(bench.spec(['sleep', '1000']));
      kill('SIGKILL');
      expect(await done).toMatchObject({ exitCode: 137 });
    });

    test('can be asked for with a signal that the command handles', async () => {
      const bench = new Bench();
      const spec = bench.spec(['sh', '-c', 'trap "exit 9" USR1; touch /ready; while :; do sleep 0.05; done']);
      const handle = (await bench.open(kind)).run(spec);
      await eventually('the command is ready', () => existsSync(join(spec.scratch, 'upper/ready')));
      handle.kill('SIGUSR1');
      expect(await handle.done).toMatchObject({ exitCode: 9 });
    });

    test('leaves no mount on the host, nor is there one while it runs', async () => {
      const bench = new Bench();
      const before = readFileSync('/proc/self/mountinfo', 'utf8');
      const spec = bench.spec(['sh', '-c', 'touch /ready; sleep 1000'], {
        mounts: [{ kind: 'tmpfs', target: '/data' }],
      });
      const handle = (await bench.open(kind)).run(spec);
      await eventually('the command is ready', () => existsSync(join(spec.scratch, 'upper/ready')));
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
      expect(readFileSync('/proc/1/mountinfo', 'utf8')).not.toContain(bench.folder);
      handle.kill('SIGKILL');
      await handle.done;
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before);
    });
  });
});
