import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { temporaryFolder } from '../../compare/fixture.ts';

export interface RealRegistryOptions {
  /** A user `tester` with the password `secret`, by htpasswd or by a token server in this process. */
  readonly auth?: 'htpasswd' | 'token';
  /** With a certificate of its own authority. */
  readonly tls?: boolean;
}

/** Debian's docker-registry on a free port of this machine. */
export interface RealRegistry {
  /** `127.0.0.1:PORT`, once it runs. */
  readonly host: string;
  /** The authority's certificate, for TLS. */
  readonly caFile: string;
  /** Ends it; to be called when the tests are over. */
  readonly stop: () => Promise<void>;
}

/** bcrypt of `secret`. */
const passwordHash = '$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a';

/** Starts a registry; `stop` must be called. */
export async function realRegistry(options: RealRegistryOptions = {}): Promise<RealRegistry> {
  const folder = temporaryFolder('cairn-registry-');
  const port = await freePort();
  const { auth, tls = false } = options;
  const caFile = join(folder, 'ca.crt');
  if (tls || auth === 'token') makeCertificate(folder);
  const tokens = auth === 'token' ? await tokenServer(folder) : null;
  mkdirSync(join(folder, 'data'));
  writeFileSync(join(folder, 'htpasswd'), `tester:${passwordHash}\n`);
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: 'x',
      ...(tls ? { tls: { certificate: join(folder, 'server.crt'), key: join(folder, 'server.key') } } : {}),
    },
    ...(auth === 'htpasswd' ? { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } } : {}),
    ...(tokens === null
      ? {}
      : {
          auth: {
            token: {
              realm: tokens.realm,
              service: 'registry',
              issuer: 'test',
              rootcertbundle: join(folder, 'server.crt'),
            },
          },
        }),
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'config.yml'), JSON.stringify(config));
  const child = spawn('docker-registry', ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  const stop = async () => {
    if (tokens !== null) await ended(tokens.process);
    await ended(child);
    rmSync(folder, { recursive: true, force: true });
  };
  await listening(port, child);
  return { host: `127.0.0.1:${port}`, caFile, stop };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((done) => child.once('exit', done));
  child.kill();
  await gone;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

async function listening(port: number, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const isUp = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1');
      socket.once('connect', () => {
        socket.destroy();
        done(true);
      });
      socket.once('error', () => done(false));
      socket.once('close', () => done(false));
      setTimeout(() => socket.destroy(), 500).unref();
    });
    if (isUp) return;
    if (child.exitCode !== null) throw new Error(`docker-registry ended with ${child.exitCode}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error('docker-registry does not answer');
}

/** An authority (ca.crt) and a certificate for 127.0.0.1 that it has signed (server.crt, server.key), and one for clients. */
export function makeCertificate(folder: string): void {
  const openssl = (...words: string[]) => {
    const run = spawnSync('openssl', words, { cwd: folder, encoding: 'utf8' });
    if (run.status !== 0) throw new Error(`openssl ${words.join(' ')}: ${run.stderr}`);
  };
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
  );
  for (const name of ['server', 'client']) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    writeFileSync(join(folder, 'san'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    const signer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'san'];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...signer);
  }
}

/** The token server as a process of its own. */
async function tokenServer(
  folder: string,
): Promise<{ readonly realm: string; readonly process: ChildProcess }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'token-server.mjs'), folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((done, fail) => {
    child.stdout.once('data', (chunk: Buffer) => done(chunk.toString().trim()));
    child.once('exit', () => fail(new Error('the token server ended')));
  });
  return { realm: `http://127.0.0.1:${port}/token`, process: child };
}
