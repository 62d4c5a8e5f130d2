import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type SandboxKind, type SandboxSpec, userNamespaceCommand } from '../../src/run/index.ts';
import { eventually, processesWith } from '../run/host-processes.ts';
import { listTree } from '../run/list-tree.ts';
import { Bench, hostEnv, kinds, whyNot } from '../run/sandbox-harness.ts';
import { skipBecause } from '../support/skip-because.ts';

const program = new URL('../run/sandbox-program.ts', import.meta.url).pathname;
const marker = 900000 + (process.pid % 10000);

interface Ended {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a sandbox as the only user of a user namespace: root there, nobody special outside. */
function start(
  kind: SandboxKind,
  spec: SandboxSpec,
): { readonly kill: () => void; readonly ended: Promise<Ended> } {
  const enter = userNamespaceCommand(hostEnv, { name: 'nobody-has-this-name', uid: 4_000_000 });
  const [command, ...args] = [
    ...enter!,
    process.execPath,
    '--import',
    'tsx',
    program,
    kind,
    JSON.stringify(spec),
  ];
  const child = spawn(command!, args, { env: hostEnv, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk));
  const kill = (): void => void child.kill('SIGKILL');
  onTestFinished(kill);
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (exitCode) =>
      resolve({
        exitCode,
        stdout: Buffer.concat(chunks.stdout).toString(),
        stderr: Buffer.concat(chunks.stderr).toString(),
      }),
    );
  });
  return { kill, ended };
}

const inherit = { stdio: { kind: 'inherit', stdin: false } } as const;

// runc insists on a cgroup of its own where the layout is the older one.
describe('a sandbox in a user namespace', () => {
  skipBecause(whyNot);

  describe.each(kinds.filter((kind) => kind !== 'runc'))('%s', (kind) => {
    test.each(['host', 'none'] as const)(
      'runs commands with the network %s and leaves their changes',
      async (network) => {
        const bench = new Bench();
        const commands = [
          'id -u; grep ^CapEff /proc/self/status; ls /dev | tr "\\n" " "; cat /dev/null; hostname; head -1 /etc/hosts',
          'mkdir /new; echo x > /new/file; rm /etc/group; rm -r /tmp; mkdir /tmp; echo y > /etc/passwd; exit 5',
        ];
        const spec = bench.spec(['sh', '-c', commands.join('\n')], { ...inherit, network });
        const { exitCode, stdout, stderr } = await start(kind, spec).ended;
        expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: '' });
        expect(stdout.split('\n')).toEqual([
          '0',
          'CapEff:\t00000000a80425fb',
          'core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero buildkitsandbox',
          '127.0.0.1\tlocalhost buildkitsandbox',
          '',
        ]);
        expect(listTree(join(spec.scratch, 'upper'))).toEqual([
          'etc dir 755 0:0',
          'etc/group char(0) 0 0:0',
          'etc/passwd file(y\n) 644 0:0',
          'new dir 755 0:0',
          'new/file file(x\n) 644 0:0',
          'tmp dir 755 0:0',
        ]);
      },
    );

    test('says what is missing for a user that the namespace has no id for', async () => {
      const bench = new Bench();
      const user = { uid: 1000, gid: 1000, additionalGids: [] };
      const { exitCode, stderr } = await start(kind, bench.spec(['id'], { ...inherit, user })).ended;
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain('SANDBOX_UNAVAILABLE');
      expect(stderr).toContain('/etc/subuid');
    });

    test('ends with Cairn, however that ends', async () => {
      const bench = new Bench();
      const spec = bench.spec(
        ['sh', '-c', `setsid sleep ${marker} & touch /ready; exec sleep ${marker}`],
        inherit,
      );
      const { kill, ended } = start(kind, spec);
      await eventually('the command is ready', () => existsSync(join(spec.scratch, 'upper/ready')));
      kill();
      await ended;
      await eventually('all are gone', () => processesWith(`sleep\0${marker}`).length === 0);
    });
  });
});
