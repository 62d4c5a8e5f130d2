import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { eventually, processesWith } from '../run/host-processes.ts';
import { kinds } from '../run/sandbox-harness.ts';
import { BuildBench } from '../support/build-bench.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const program = new URL('../support/build-program.ts', import.meta.url).pathname;
const reason = firstOf(unlessRoot(), unlessInstalled('ssh-agent', 'ssh-add', 'ssh-keygen', 'ssh'));
const bench = new BuildBench();
const keys = {
  one: join(bench.folder, 'one'),
  two: join(bench.folder, 'two'),
  locked: join(bench.folder, 'locked'),
};
const children: ChildProcess[] = [];
let agent = '';

beforeAll(async () => {
  if (reason !== undefined) return;
  await bench.withBusybox();
  for (const [name, path] of Object.entries(keys))
    execFileSync('ssh-keygen', [
      '-q',
      '-t',
      'ed25519',
      '-N',
      name === 'locked' ? 'phrase' : '',
      '-C',
      name,
      '-f',
      path,
    ]);
  // As git checks files out: ssh-add itself would refuse it.
  chmodSync(keys.one, 0o644);
  bringSsh();
  agent = join(bench.folder, 'a');
  children.push(spawn('ssh-agent', ['-D', '-a', agent], { stdio: 'ignore' }));
  await eventually('the agent answers', () => existsSync(agent));
  execFileSync('ssh-add', ['-q', '-'], {
    env: { ...process.env, SSH_AUTH_SOCK: agent },
    input: readFileSync(keys.one),
  });
});
afterAll(() => {
  for (const child of children) child.kill();
  bench.remove();
});
skipBecause(reason);

/** The host's ssh programs with the libraries that they need, in the context: the image has none. */
function bringSsh(): void {
  const folder = join(bench.context, 'ssh');
  mkdirSync(folder);
  for (const name of ['ssh', 'ssh-add']) {
    const path = execFileSync('which', [name], { encoding: 'utf8' }).trim();
    copyFileSync(path, join(folder, name));
    for (const [, library] of execFileSync('ldd', [path], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g))
      copyFileSync(library as string, join(folder, basename(library as string)));
  }
}

/** Runs one of the host's programs in a RUN. */
const host = (words: string) => `/ssh/ld-linux-*.so.* --library-path /ssh /ssh/${words}`;
const withSsh = '--mount=source=ssh,target=/ssh';

describe.each(kinds)('in the %s sandbox', (sandbox) => {
  test("a RUN lists the agent's keys, and cannot remove them or lock the agent", async () => {
    const { output } = await bench.build(
      [
        'FROM busybox',
        `RUN --mount=type=ssh,required ${withSsh} echo $SSH_AUTH_SOCK; stat -c "%a %u:%g %F" $SSH_AUTH_SOCK; ${host('ssh-add -l')}; ${host('ssh-add -D')} 2>&1; ${host('ssh-add -l')} | wc -l`,
      ],
      { sandbox, noCache: true, ssh: { default: [agent] } },
    );
    expect(output.split('\n').map((line) => line.replace(/SHA256:\S+/, 'KEY'))).toEqual([
      '/run/buildkit/ssh_agent.0',
      '600 0:0 socket',
      '256 KEY one (ED25519)',
      'Failed to remove all identities.',
      '1',
      '',
    ]);
  });

  test('a user of the image uses a socket that it owns, and only then', async () => {
    const { output } = await bench.build(
      [
        'FROM busybox',
        'USER 1000',
        `RUN --mount=type=ssh ${withSsh} ${host('ssh-add -l')} > /dev/null 2>&1; echo $?`,
        `RUN --mount=type=ssh,uid=1000,mode=0400 ${withSsh} ${host('ssh-add -l')} > /dev/null 2>&1; echo $?`,
        `RUN --mount=type=ssh,uid=1000,mode=0600,target=/var/run/my.sock ${withSsh} echo $SSH_AUTH_SOCK; ${host('ssh-add -l')} | wc -l`,
      ],
      { sandbox, noCache: true, ssh: { default: [agent] } },
    );
    expect(output).toBe('2\n2\n/var/run/my.sock\n1\n');
  });

  test('ids are apart, and keys are given by a private agent', async () => {
    const { output, layers } = await bench.build(
      [
        'FROM busybox',
        `RUN --mount=type=ssh,id=both --mount=type=ssh,id=default,target=/user.sock ${withSsh} ${host('ssh-add -l')} | cut -d" " -f3; SSH_AUTH_SOCK=/user.sock ${host('ssh-add -l')} | cut -d" " -f3`,
      ],
      { sandbox, noCache: true, ssh: { default: [agent], both: [keys.one, keys.two] } },
    );
    expect(output).toBe('one\ntwo\none\n');
    expect(layers.at(-1)).toContain('5f70bf18');
  });
});

test('without an agent that it may do without, a RUN has the variable and no socket', async () => {
  const { output } = await bench.build([
    'FROM busybox',
    'RUN --mount=type=ssh echo $SSH_AUTH_SOCK; ls $SSH_AUTH_SOCK 2>&1 || true',
  ]);
  expect(output).toBe(
    '/run/buildkit/ssh_agent.0\nls: /run/buildkit/ssh_agent.0: No such file or directory\n',
  );
});

test('SSH_AUTH_SOCK of the image stays', async () => {
  const { output } = await bench.build(
    [
      'FROM busybox',
      'ENV SSH_AUTH_SOCK=/own',
      'RUN --mount=type=ssh,target=/own echo $SSH_AUTH_SOCK && ls /own',
    ],
    { ssh: { default: [agent] } },
  );
  expect(output).toBe('/own\n/own\n');
});

test.each<[string, Record<string, string[]>, RegExp]>([
  [
    'a path that is not there',
    { default: ['/nowhere/agent'] },
    /^SSH_INVALID .*cannot use "\/nowhere\/agent": ENOENT/,
  ],
  ['a socket and a key', { default: ['AGENT', keys.one] }, /^SSH_INVALID .* and something else beside it/],
  ['nothing', { default: [] }, /^SSH_INVALID .* neither a socket nor a key/],
  ['a key with a passphrase', { default: [keys.locked] }, /^SSH_INVALID .* as a private key/],
  ['a file that is no key', { default: [`${keys.one}.pub`] }, /^SSH_INVALID .* as a private key/],
])('%s is refused', async (_, ssh, expected) => {
  const real = Object.fromEntries(
    Object.entries(ssh).map(([id, paths]) => [id, paths.map((path) => (path === 'AGENT' ? agent : path))]),
  );
  expect(
    await bench.failure(['FROM busybox', 'RUN --mount=type=ssh true'], { noCache: true, ssh: real }),
  ).toMatch(expected);
});

describe('the private agent ends', () => {
  test('with the build', async () => {
    let agents: number[] = [];
    await bench.build(['FROM busybox', 'RUN --mount=type=ssh,required echo in'], {
      noCache: true,
      ssh: { default: [keys.one] },
      onEvent: (event) => {
        if (event.type === 'step-output') agents = privateAgents();
      },
    });
    expect(agents).toHaveLength(1);
    await eventually('the agent is gone', () => !existsSync(`/proc/${agents[0]}`));
  });

  test('with a build that is killed', async () => {
    const options = {
      root: bench.root,
      lines: ['FROM busybox', 'RUN --mount=type=ssh,required echo in; sleep 600'],
      noCache: true,
      ssh: { default: [keys.one] },
    };
    const child = spawn(process.execPath, ['--import', 'tsx', program, JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    await eventually('the RUN runs', () => output.includes('in'));
    const agents = privateAgents();
    expect(agents).toHaveLength(1);
    child.kill('SIGKILL');
    await eventually('the agent is gone', () => !existsSync(`/proc/${agents[0]}`));
  });
});

/** Agents whose keepers, shells that work in a folder of the store, say which they are. */
function privateAgents(): number[] {
  return processesWith('kill "$SSH_AGENT_PID"').flatMap((keeper) => {
    try {
      if (!readlinkSync(`/proc/${keeper}/cwd`).startsWith(bench.root)) return [];
      const pid = /SSH_AGENT_PID=(\d+)/.exec(readFileSync(`/proc/${keeper}/environ`, 'utf8'))?.[1];
      return pid === undefined ? [] : [Number(pid)];
    } catch {
      return [];
    }
  });
}

describe('with a server', () => {
  const port = { number: 0 };
  skipBecause(existsSync('/usr/sbin/sshd') ? undefined : 'needs the program sshd');

  beforeAll(async () => {
    if (reason !== undefined || !existsSync('/usr/sbin/sshd')) return;
    port.number = await freePort();
    mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    const at = (name: string) => join(bench.folder, name);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at('host')]);
    copyFileSync(`${keys.two}.pub`, at('authorized'));
    writeFileSync(
      at('sshd_config'),
      [
        `Port ${port.number}`,
        'ListenAddress 127.0.0.1',
        `HostKey ${at('host')}`,
        `AuthorizedKeysFile ${at('authorized')}`,
        'StrictModes no',
        'UsePAM no',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'PermitRootLogin prohibit-password',
        `PidFile ${at('sshd.pid')}`,
        '',
      ].join('\n'),
    );
    children.push(spawn('/usr/sbin/sshd', ['-D', '-e', '-f', at('sshd_config')], { stdio: 'ignore' }));
    await sleep(300);
  });

  test('a RUN logs in with a key that it never sees, and not without it', async () => {
    const login = `${host('ssh')} -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR -p ${port.number} root@127.0.0.1 echo reached; echo $?`;
    const lines = ['FROM busybox', `RUN --mount=type=ssh ${withSsh} ${login}`];
    const run = async (ssh: Record<string, string[]>) =>
      (await bench.build(lines, { noCache: true, ssh })).output;
    expect(await run({ default: [keys.two] })).toBe('reached\n0\n');
    expect(await run({ default: [keys.one] })).toMatch(/Permission denied.*\s+255\n$/);
    expect(await run({})).toMatch(/255\n$/);
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
