import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { baseImages } from '../compare/base-images.ts';
import { cairnEngine, call, dockerEngine, type Engine, importBases, mustCall } from '../compare/engine.ts';
import { temporaryFolder } from '../compare/fixture.ts';
import { type RealRegistry, realRegistry } from '../registry/support/real-registry.ts';
import { podmanEngine } from '../support/podman.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const folder = temporaryFolder('cairn-registry-peers-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A Cairn with an empty store and settings of its own, which may ask registries. */
function machine(name: string): Engine & { readonly home: string } {
  const home = join(folder, name);
  mkdirSync(home, { recursive: true });
  const engine = cairnEngine(join(home, 'store'));
  const env = {
    ...engine.env,
    HOME: home,
    DOCKER_CONFIG: join(home, 'docker'),
    XDG_CONFIG_HOME: home,
    CAIRN_OFFLINE: '',
  };
  return { ...engine, env, home };
}

function feed(
  engine: Engine,
  words: readonly string[],
  input: string,
): { status: number | null; stdout: string; stderr: string } {
  const [program = '', ...first] = engine.command;
  const env = { ...process.env, ...engine.env };
  return spawnSync(program, [...first, ...words], { input, encoding: 'utf8', env });
}

function skopeo(...words: readonly string[]): string {
  const run = spawnSync('skopeo', words, { encoding: 'utf8', maxBuffer: 1 << 26 });
  expect(run.status, `skopeo ${words.join(' ')}: ${run.stderr}`).toBe(0);
  return run.stdout;
}

const id = (engine: Engine, name: string) =>
  mustCall(engine, ['image', 'inspect', '--format', '{{.Id}}', name])
    .trim()
    .replace(/^(?!sha256:)/, 'sha256:');

const dockerfile =
  'FROM busybox\nCOPY words /words\nRUN echo made > /made\nENV A="b c"\nCMD ["cat", "/words"]\n';

/** Builds an image under a name. */
function build(engine: Engine, name: string, ...words: readonly string[]): void {
  const context = join(folder, 'context');
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, 'words'), 'from the registry\n');
  writeFileSync(join(context, 'Dockerfile'), dockerfile);
  importBases(engine, baseImages.slice(0, 1));
  mustCall(engine, ['build', '-t', name, ...words, context]);
}

describe('a plain registry', () => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('docker-registry', 'skopeo')));
  let registry: RealRegistry;
  const mine = machine('plain');
  afterAll(() => registry?.stop());
  beforeAll(async () => {
    if (firstOf(unlessRoot(), unlessInstalled('docker-registry'))) return;
    registry = await realRegistry();
    build(mine, `${registry.host}/cairn/app:1`);
    mustCall(mine, ['push', `${registry.host}/cairn/app:1`]);
  });

  test('gives docker an image that it runs, with the same ID', () => {
    const docker = dockerEngine();
    if (docker === undefined) return;
    const name = `${registry.host}/cairn/app:1`;
    mustCall(docker, ['pull', name]);
    expect(id(docker, name)).toBe(id(mine, name));
    expect(mustCall(docker, ['run', '--rm', '--network', 'none', name])).toBe('from the registry\n');
    mustCall(docker, ['rmi', '-f', name]);
  });

  test('gives podman and skopeo the same image', () => {
    const name = `${registry.host}/cairn/app:1`;
    const inspected = JSON.parse(skopeo('inspect', '--tls-verify=false', `docker://${name}`)) as {
      Digest: string;
    };
    const [, digest] = mustCall(mine, ['image', 'inspect', '--format', '{{index .RepoDigests 0}}', name])
      .trim()
      .split('@');
    expect(inspected.Digest).toBe(digest);
    const podman = podmanEngine();
    try {
      mustCall(podman, ['pull', '-q', '--tls-verify=false', name]);
      expect(id(podman, name)).toBe(id(mine, name));
    } finally {
      podman.close();
    }
  });

  test('gives Cairn what docker has pushed, which runs, and goes back with its bytes unchanged', () => {
    const docker = dockerEngine();
    if (docker === undefined) return;
    const name = `${registry.host}/docker/app:1`;
    build(docker, name, ...docker.buildArgs);
    mustCall(docker, ['push', name]);
    const other = machine('from-docker');
    expect(mustCall(other, ['pull', name])).toMatch(/Status: Downloaded newer image for .*\/docker\/app:1\n/);
    expect(id(other, name)).toBe(id(docker, name));
    expect(mustCall(other, ['run', '--rm', name])).toBe('from the registry\n');
    const copy = `${registry.host}/docker/again:1`;
    mustCall(other, ['tag', name, copy]);
    mustCall(other, ['push', copy]);
    const raw = (reference: string) =>
      skopeo('inspect', '--raw', '--tls-verify=false', `docker://${reference}`);
    expect(raw(copy)).toBe(raw(name));
    expect(mustCall(other, ['fsck'])).toContain('clean');
    mustCall(docker, ['rmi', '-f', name]);
  });

  test.each([
    ['gzip', []],
    ['zstd', ['--dest-compress-format', 'zstd', '--dest-force-compress-format']],
  ])('gives Cairn what skopeo has pushed with %s', (format, words) => {
    const name = `${registry.host}/skopeo/${format}:1`;
    const archive = join(folder, `${format}.tar`);
    mustCall(mine, ['save', '-o', archive, `${registry.host}/cairn/app:1`]);
    const known = spawnSync('skopeo', ['copy', '--help'], { encoding: 'utf8' }).stdout;
    const supported = words.filter((word) => !word.startsWith('--') || known.includes(word));
    skopeo(
      'copy',
      '-q',
      '--dest-tls-verify=false',
      '--format',
      'oci',
      ...supported,
      `docker-archive:${archive}`,
      `docker://${name}`,
    );
    const other = machine(`skopeo-${format}`);
    mustCall(other, ['pull', '-q', name]);
    expect(mustCall(other, ['run', '--rm', name])).toBe('from the registry\n');
    expect(mustCall(other, ['fsck'])).toContain('clean');
  });

  test('gives bases to builds that lack them, and is not sent what it has', () => {
    const other = machine('from-registry');
    const context = join(folder, 'context');
    writeFileSync(
      join(context, 'Dockerfile.base'),
      `FROM ${registry.host}/cairn/app:1\nCOPY words /more\nRUN cat /made /more > /both\n`,
    );
    const name = `${registry.host}/derived/app:1`;
    const { stderr } = call(other, [
      'build',
      '--progress',
      'plain',
      '--push',
      '-t',
      name,
      '-f',
      join(context, 'Dockerfile.base'),
      context,
    ]);
    expect(stderr).toContain('1: Pulling from cairn/app');
    expect(stderr).toMatch(/: Mounted from cairn\/app/);
    expect(mustCall(other, ['run', '--rm', name, 'cat', '/both'])).toBe('made\nfrom the registry\n');
    const again = call(other, [
      'build',
      '--progress',
      'plain',
      '--pull',
      '-f',
      join(context, 'Dockerfile.base'),
      context,
    ]);
    expect(again.stderr).toContain('CACHED');
  });

  test('keeps a list of platforms, of which everyone takes their own', () => {
    const context = join(folder, 'scratch-context');
    mkdirSync(context, { recursive: true });
    writeFileSync(
      join(context, 'Dockerfile'),
      'FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY Dockerfile /\n',
    );
    const name = `${registry.host}/cairn/multi:1`;
    mustCall(mine, ['build', '--platform', 'linux/amd64,linux/arm64', '--push', '-t', name, context]);
    const raw = JSON.parse(skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}`)) as {
      manifests: { platform: { architecture: string } }[];
    };
    expect(raw.manifests.map(({ platform }) => platform.architecture)).toEqual(['amd64', 'arm64']);
    for (const architecture of ['amd64', 'arm64']) {
      const other = machine(`multi-${architecture}`);
      mustCall(other, ['pull', '-q', '--platform', `linux/${architecture}`, name]);
      expect(mustCall(other, ['inspect', '--format', '{{.Architecture}}', name]).trim()).toBe(architecture);
    }
  });

  test('is searched and inspected', () => {
    expect(mustCall(mine, ['search', '--format', '{{.Name}}', `${registry.host}/cairn`])).toContain(
      `${registry.host}/cairn/app\n`,
    );
    const manifest = JSON.parse(mustCall(mine, ['manifest', 'inspect', `${registry.host}/cairn/app:1`])) as {
      layers: unknown[];
    };
    expect(manifest.layers).toHaveLength(3);
  });

  test('has every tag pulled and pushed with -a', () => {
    const repository = `${registry.host}/cairn/tags`;
    for (const tag of ['a', 'b'])
      mustCall(mine, ['tag', `${registry.host}/cairn/app:1`, `${repository}:${tag}`]);
    mustCall(mine, ['push', '-a', repository]);
    const other = machine('all-tags');
    mustCall(other, ['pull', '-a', repository]);
    expect(mustCall(other, ['images', '--format', '{{.Tag}}', repository]).trim().split('\n').sort()).toEqual(
      ['a', 'b'],
    );
  });
});

describe.each(['htpasswd', 'token'] as const)('a registry with %s authentication', (auth) => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('docker-registry', 'openssl')));
  let registry: RealRegistry;
  const mine = machine(auth);
  afterAll(() => registry?.stop());
  beforeAll(async () => {
    if (firstOf(unlessRoot(), unlessInstalled('docker-registry', 'openssl'))) return;
    registry = await realRegistry({ auth });
    build(mine, `${registry.host}/private/app:1`);
  });

  test('lets nobody push or pull who has not logged in', () => {
    for (const verb of ['push', 'pull']) {
      const { status, stderr } = call(mine, [verb, `${registry.host}/private/app:1`]);
      expect(status).toBe(1);
      expect(stderr).toContain('error[REGISTRY_DENIED]');
    }
  });

  test('refuses a wrong password, and keeps nothing of it', () => {
    const { status, stderr, stdout } = feed(
      mine,
      ['login', '-u', 'tester', '--password-stdin', registry.host],
      'wrong',
    );
    expect(status).toBe(1);
    expect(stderr).toContain('incorrect username or password');
    expect(`${stdout}${stderr}`).not.toContain('Succeeded');
  });

  test('takes the right one from then on, until logout', () => {
    const name = `${registry.host}/private/app:1`;
    const login = feed(mine, ['login', '-u', 'tester', '--password-stdin', registry.host], 'secret\n');
    expect(login).toMatchObject({ status: 0, stdout: 'Login Succeeded\n' });
    const file = join(mine.home, 'docker/config.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    mustCall(mine, ['push', name]);
    mustCall(mine, ['pull', name]);
    // The file is Docker's: other tools read it.
    const env = { ...process.env, REGISTRY_AUTH_FILE: file };
    const peer = spawnSync('skopeo', ['inspect', '--tls-verify=false', `docker://${name}`], {
      env,
      encoding: 'utf8',
    });
    if (peer.error === undefined) expect(peer.status, peer.stderr).toBe(0);
    // A layer of one private repository is mounted into another.
    mustCall(mine, ['tag', name, `${registry.host}/private/other:1`]);
    expect(mustCall(mine, ['push', `${registry.host}/private/other:1`])).toContain(
      'Mounted from private/app',
    );
    expect(mustCall(mine, ['logout', registry.host])).toBe(
      `Removing login credentials for ${registry.host}\n`,
    );
    expect(readFileSync(file, 'utf8')).not.toContain(registry.host);
    expect(call(mine, ['pull', name]).status).toBe(1);
  });
});

describe('a registry with TLS', () => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('docker-registry', 'openssl')));

  test('is reached with https', async () => {
    const registry = await realRegistry({ tls: true });
    onTestFinished(registry.stop);
    const mine = machine('tls');
    build(mine, `${registry.host}/app:1`);
    mustCall(mine, ['push', `${registry.host}/app:1`]);
    expect(mustCall(mine, ['pull', `${registry.host}/app:1`])).toContain('Image is up to date');
  });
});
