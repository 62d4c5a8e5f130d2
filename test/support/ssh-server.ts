import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The program, or null where none is installed. `$CAIRN_SSHD` names one that is elsewhere. */
export function findSshd(): string | null {
  const candidates = [process.env.CAIRN_SSHD ?? '', '/usr/sbin/sshd', '/usr/local/sbin/sshd'];
  return candidates.find((path) => path !== '' && existsSync(path)) ?? null;
}

export interface SshServer {
  readonly port: number;
  /** Private key that may log in. */
  readonly key: string;
  /** Public key of the host, as in known_hosts. */
  readonly hostKey: string;
  close(): void;
}

/** Starts sshd for this user, with keys of its own, on a free port of 127.0.0.1. */
export async function startSshd(sshd: string, folder: string): Promise<SshServer> {
  const host = join(folder, 'host_key');
  const key = join(folder, 'user_key');
  for (const path of [host, key])
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test', '-f', path]);
  // Where root's sshd locks its children in.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true });
  const port = await freePort();
  const config = [
    `Port ${port}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${host}`,
    `AuthorizedKeysFile ${key}.pub`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'UsePAM no',
    'StrictModes no',
    'PermitRootLogin yes',
    `PidFile ${join(folder, 'sshd.pid')}`,
  ];
  writeFileSync(join(folder, 'sshd_config'), `${config.join('\n')}\n`);
  const child = spawn(sshd, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: 'ignore' });
  await untilOpen(port);
  const [type = '', material = ''] = execFileSync('cat', [`${host}.pub`], { encoding: 'utf8' }).split(' ');
  return { port, key, hostKey: `[127.0.0.1]:${port} ${type} ${material}`, close: () => void child.kill() };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { readonly port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function untilOpen(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1');
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (isOpen) return;
    await sleep(50);
  }
  throw new Error('sshd does not answer');
}
