import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { eventually } from '../run/host-processes.ts';
import { BuildBench } from '../support/build-bench.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

const program = new URL('../support/build-program.ts', import.meta.url).pathname;
const bench = new BuildBench();
beforeAll(async () => {
  if (unlessRoot() === undefined) await bench.withBusybox();
});
afterAll(() => bench.remove());
skipBecause(unlessRoot());

interface Builder {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

/** Starts a build in a process of its own. */
function start(lines: readonly string[]): Builder {
  const options = JSON.stringify({ root: bench.root, lines, noCache: true });
  const child = spawn(process.execPath, ['--import', 'tsx', program, options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  );
  return { child, output: () => output, ended };
}

/** A counter that loses counts when two use it at once. */
const count = (mount: string, times: number) => [
  'FROM busybox',
  `RUN --mount=${mount},target=/c i=0; while [ $i -lt ${times} ]; do n=$(cat /c/n 2>/dev/null || echo 0); sleep 0.01; echo $((n+1)) > /c/n; i=$((i+1)); done; cat /c/n`,
];

test('processes with one locked cache take turns', async () => {
  const builders = [1, 2, 3].map(() => start(count('type=cache,id=turns,sharing=locked', 20)));
  expect(await Promise.all(builders.map(({ ended }) => ended))).toEqual([0, 0, 0]);
  expect(builders.map(({ output }) => Number(output())).sort((a, b) => a - b)).toEqual([20, 40, 60]);
});

test('processes with one private cache get one each', async () => {
  const builders = [1, 2].map(() => start(count('type=cache,id=own,sharing=private', 100)));
  expect(await Promise.all(builders.map(({ ended }) => ended))).toEqual([0, 0]);
  expect(builders.map(({ output }) => output())).toEqual(['100\n', '100\n']);
});

test('processes with one shared cache see what each other writes', async () => {
  const meet = (own: string, other: string) =>
    start([
      'FROM busybox',
      `RUN --mount=type=cache,id=meet,target=/c touch /c/${own}; until [ -e /c/${other} ]; do sleep 0.05; done; echo met`,
    ]);
  const builders = [meet('a', 'b'), meet('b', 'a')];
  expect(await Promise.all(builders.map(({ ended }) => ended))).toEqual([0, 0]);
});

test('a locked cache is free again when the process that held it is killed', async () => {
  const holder = start([
    'FROM busybox',
    'RUN --mount=type=cache,id=killed,sharing=locked,target=/c echo mine > /c/f; echo in; sleep 600',
  ]);
  await eventually('the holder runs', () => holder.output().includes('in'));
  const waiting = start([
    'FROM busybox',
    'RUN --mount=type=cache,id=killed,sharing=locked,target=/c cat /c/f',
  ]);
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(bench.root);
  holder.child.kill('SIGKILL');
  expect([await holder.ended, await waiting.ended]).toEqual(['SIGKILL', 0]);
  expect(waiting.output()).toBe('mine\n');
});
