import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { basesUsed, call, dockerEngine, type Engine, importBases, mustCall } from '../compare/engine.ts';
import { fixtureNamed, stage, temporaryFolder } from '../compare/fixture.ts';
import { storeForFile } from '../support/image-store.ts';
import { podmanEngine } from '../support/podman.ts';
import { skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const cairn = storeForFile();
const archives = temporaryFolder('cairn-archives-');
afterAll(() => rmSync(archives, { recursive: true, force: true }));

interface RealWorld {
  readonly name: string;
  /** Words after the image name, and what they print. */
  readonly command: readonly string[];
  readonly prints: RegExp;
  readonly exitCode: number;
  /** Address that the image's own command serves, and what is there. */
  readonly serves?: { readonly url: string; readonly text: string };
  readonly layers: number;
}

const cases: readonly RealWorld[] = [
  {
    name: 'nginx-site',
    command: ['nginx', '-t'],
    prints: /test is successful/,
    exitCode: 0,
    serves: { url: 'http://127.0.0.1:18080/', text: 'A pile of stones' },
    layers: 4,
  },
  { name: 'c-static', command: ['a', 'b'], prints: /^hello, a\n$/, exitCode: 3, layers: 1 },
  {
    name: 'node-service',
    command: ['dist/server.js', '--once'],
    prints: /^hello, once\n$/,
    exitCode: 0,
    serves: { url: 'http://127.0.0.1:18081/visitor', text: 'hello, visitor' },
    layers: 7,
  },
  {
    name: 'many-runs',
    command: ['sh', '-c', 'wc -l < /all; tail -n 1 /all'],
    prints: /^120\n120\n$/,
    exitCode: 0,
    layers: 121,
  },
  {
    name: 'large-tree',
    command: ['sh', '-c', 'find /srv/tree -type f | wc -l; du -s /srv/tree | wc -l'],
    prints: /^30000\n1\n$/,
    exitCode: 0,
    layers: 2,
  },
];

const built = new Map<string, string>();

/** Builds a fixture once for all tests of this file. @returns its image ID */
function imageOf(name: string): string {
  const known = built.get(name);
  if (known !== undefined) return known;
  const context = stage(fixtureNamed(name));
  try {
    importBases(cairn, basesUsed(context));
    const id = mustCall(cairn, ['build', '-q', '-t', `${name}:test`, '.'], { cwd: context }).trim();
    built.set(name, id);
    return id;
  } finally {
    rmSync(context, { recursive: true });
  }
}

describe.each(cases)('the image of $name', (real) => {
  skipBecause(unlessRoot());
  const image = `${real.name}:test`;

  test('builds, and is built again from the cache with the same ID', () => {
    const id = imageOf(real.name);
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    built.delete(real.name);
    expect(imageOf(real.name)).toBe(id);
  });

  test('has the expected layers and a history entry for each', () => {
    imageOf(real.name);
    const layers = JSON.parse(
      mustCall(cairn, ['inspect', '-f', '{{json .RootFS.Layers}}', image]),
    ) as string[];
    expect(layers).toHaveLength(real.layers);
    const history = mustCall(cairn, ['history', '--format', '{{.ID}} {{.CreatedBy}}', image])
      .trim()
      .split('\n');
    expect(history.length).toBeGreaterThanOrEqual(real.layers);
  });

  test('runs with `cairn run --rm`', () => {
    imageOf(real.name);
    const result = call(cairn, ['run', '--rm', '--network', 'host', image, ...real.command]);
    expect(result.stdout + (real.name === 'nginx-site' ? result.stderr : '')).toMatch(real.prints);
    expect(result.status).toBe(real.exitCode);
  });

  if (real.serves)
    test('serves its page, and ends on SIGTERM', async () => {
      imageOf(real.name);
      const { url, text } = real.serves!;
      const words = [...cairn.command.slice(1), 'run', '--rm', '--network', 'host', image];
      const server = spawn(cairn.command[0]!, words, {
        env: { ...process.env, ...cairn.env },
        stdio: 'ignore',
      });
      const ended = new Promise<number | null>((resolve) => server.once('exit', (code) => resolve(code)));
      try {
        expect(await eventually(url)).toContain(text);
      } finally {
        server.kill('SIGTERM');
      }
      const killer = setTimeout(() => server.kill('SIGKILL'), 20_000);
      expect(await ended).not.toBe(null);
      clearTimeout(killer);
      await expect(fetch(url)).rejects.toThrow();
    });

  test('leaves no mount on the host and a clean store', () => {
    imageOf(real.name);
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(cairn.root);
    expect(call(cairn, ['fsck'])).toMatchObject({ status: 0 });
  });
});

const archived = new Map<string, string>();

function archiveOf(name: string): string {
  imageOf(name);
  const path = archived.get(name) ?? join(archives, `${name}.tar`);
  if (!archived.has(name)) mustCall(cairn, ['save', '-o', path, `${name}:test`]);
  archived.set(name, path);
  return path;
}

describe.each(cases.slice(0, 4))('the archive of $name', (real) => {
  skipBecause(unlessRoot());

  function loadsAndRuns(engine: Engine): void {
    const archive = archiveOf(real.name);
    expect(mustCall(engine, ['load', '-i', archive])).toContain(`${real.name}:test`);
    const id = mustCall(engine, ['image', 'inspect', '-f', '{{.Id}}', `${real.name}:test`]).trim();
    expect(id.replace('sha256:', '')).toBe(imageOf(real.name).replace('sha256:', ''));
    const result = call(engine, ['run', '--rm', '--network', 'host', `${real.name}:test`, ...real.command]);
    expect({
      status: result.status,
      out: result.stdout + (real.name === 'nginx-site' ? result.stderr : ''),
    }).toEqual({
      status: real.exitCode,
      out: expect.stringMatching(real.prints),
    });
    mustCall(engine, ['rmi', `${real.name}:test`]);
  }

  describe('in dockerd', () => {
    const docker = dockerEngine();
    skipBecause(docker ? undefined : 'needs a docker daemon (scripts/peers-up.sh starts one)');
    test('loads with the same ID and runs', () => loadsAndRuns(docker!));
  });

  describe('in podman', () => {
    skipBecause(unlessInstalled('podman'));
    test('loads with the same ID and runs', () => {
      const podman = podmanEngine();
      try {
        loadsAndRuns(podman);
      } finally {
        podman.close();
      }
    });
  });

  describe('for skopeo and umoci', () => {
    skipBecause(unlessInstalled('skopeo', 'umoci'));

    test.each(['docker-archive', 'oci-archive'])('is a %s with all layers', (transport) => {
      const shown = JSON.parse(succeed('skopeo', ['inspect', `${transport}:${archiveOf(real.name)}`])) as {
        Layers: string[];
      };
      expect(shown.Layers).toHaveLength(real.layers);
    });

    test('unpacks with umoci', () => {
      const folder = temporaryFolder('cairn-umoci-');
      try {
        succeed('skopeo', ['copy', `docker-archive:${archiveOf(real.name)}`, `oci:${folder}/layout:it`]);
        succeed('umoci', ['unpack', '--image', `${folder}/layout:it`, `${folder}/bundle`]);
        expect(succeed('ls', [`${folder}/bundle/rootfs`]).trim()).not.toBe('');
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });
});

function succeed(program: string, words: readonly string[]): string {
  const run = spawnSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 26 });
  expect(run.status, `${program} ${words.join(' ')}: ${run.stderr}`).toBe(0);
  return run.stdout;
}

async function eventually(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (attempt === 150) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
