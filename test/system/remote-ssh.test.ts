import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { build } from '../../src/builder/index.ts';
import { fetchGit } from '../../src/builder/remote/fetch-git.ts';
import { HeldEntries } from '../../src/builder/remote/held-entries.ts';
import { parseSourceUrl } from '../../src/builder/remote/source-url.ts';
import { openStore } from '../../src/store/index.ts';
import { runGit } from '../support/git-server.ts';
import { scratchFolder } from '../support/scratch.ts';
import { findSshd, startSshd } from '../support/ssh-server.ts';

const sshd = findSshd();

describe.skipIf(sshd === null)('git over ssh (needs sshd)', () => {
  async function setUp() {
    const folder = scratchFolder();
    const work = join(folder, 'work');
    mkdirSync(work);
    runGit(work, 'init', '-q', '-b', 'main');
    writeFileSync(join(work, 'f'), 'F');
    runGit(work, 'add', '.');
    runGit(work, 'commit', '-qm', 'x');
    runGit(folder, 'clone', '-q', '--bare', work, 'r.git');
    const server = await startSshd(sshd as string, folder);
    onTestFinished(() => server.close());
    const socket = await startAgent(server.key);
    return { server, socket, url: `ssh://${userInfo().username}@127.0.0.1:${server.port}${folder}/r.git` };
  }

  /** Sockets have short paths only. */
  async function startAgent(key: string): Promise<string> {
    const socket = join(mkdtempSync(join(tmpdir(), 'a-')), 's');
    const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: 'ignore' });
    onTestFinished(() => void agent.kill());
    for (let tries = 0; ; tries++) {
      try {
        execFileSync('ssh-add', ['-q', key], {
          env: { ...process.env, SSH_AUTH_SOCK: socket },
          stdio: 'ignore',
        });
        return socket;
      } catch (error) {
        if (tries === 50) throw error;
        await sleep(50);
      }
    }
  }

  function fetch(url: string, extra: { sshAuthSock?: string; home?: string }) {
    const source = parseSourceUrl(url);
    if (source.kind !== 'git') throw new Error('not a git URL');
    const held = new HeldEntries();
    onTestFinished(() => held.release());
    return fetchGit(source, {
      cacheDir: join(scratchFolder(), 'git'),
      scratch: scratchFolder(),
      held,
      env: { PATH: process.env.PATH, ...(extra.home ? { HOME: extra.home } : {}) },
      ...(extra.sshAuthSock ? { sshAuthSock: extra.sshAuthSock } : {}),
      signal: new AbortController().signal,
      now: () => 0,
    });
  }

  test('uses the keys of the agent, and no others', async () => {
    const { url, socket } = await setUp();
    expect((await fetch(url, { sshAuthSock: socket })).commitTime).toBe(1_700_000_000);
    await expect(fetch(url, {})).rejects.toMatchObject({
      code: 'GIT_FAILED',
      help: expect.stringContaining('--ssh default'),
    });
  });

  test('believes a host that is new, but not one whose known key is another', async () => {
    const { url, socket, server } = await setUp();
    const home = scratchFolder();
    mkdirSync(join(home, '.ssh'));
    writeFileSync(join(home, '.ssh/known_hosts'), `${server.hostKey}\n`);
    await fetch(url, { sshAuthSock: socket, home });
    const other = join(scratchFolder(), 'other');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    const [type, material] = execFileSync('cat', [`${other}.pub`], { encoding: 'utf8' }).split(' ');
    writeFileSync(join(home, '.ssh/known_hosts'), `[127.0.0.1]:${server.port} ${type} ${material}\n`);
    await expect(fetch(url, { sshAuthSock: socket, home })).rejects.toMatchObject({ code: 'GIT_FAILED' });
  });

  test('ADD gets the agent of --ssh default', async () => {
    const { url, socket } = await setUp();
    const store = openStore({ root: scratchFolder() });
    onTestFinished(() => store.close());
    const options = {
      store,
      context: { kind: 'empty' },
      dockerfile: { kind: 'text', text: `FROM scratch\nADD ${url} /r\n`, name: 'Dockerfile' },
      hostEnv: { PATH: process.env.PATH, SSH_AUTH_SOCK: socket },
    } as const;
    await expect(build(options)).rejects.toMatchObject({ code: 'GIT_FAILED', at: { line: 2 } });
    expect((await build({ ...options, ssh: { default: [socket] } })).totalSteps).toBe(1);
  });

  test('a context may use the running agent', async () => {
    const { url, socket } = await setUp();
    const store = openStore({ root: scratchFolder() });
    onTestFinished(() => store.close());
    const result = await build({
      store,
      context: { kind: 'git', url },
      dockerfile: { kind: 'text', text: 'FROM scratch\nCOPY f /\n', name: 'Dockerfile' },
      hostEnv: { PATH: process.env.PATH, SSH_AUTH_SOCK: socket },
    });
    expect(result.totalSteps).toBe(1);
  });
});
