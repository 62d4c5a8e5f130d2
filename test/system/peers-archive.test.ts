import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { baseImages } from '../compare/base-images.ts';
import { compareFiles } from '../compare/difference.ts';
import { cairnEngine, call, dockerEngine, importBases, mustCall } from '../compare/engine.ts';
import { fixtureNamed, stage, temporaryFolder } from '../compare/fixture.ts';
import { flatten } from '../compare/flatten.ts';
import { openArchive } from '../compare/image-archive.ts';
import { describeDifferences } from '../compare/report.ts';
import { readLayout, storeForFile } from '../support/image-store.ts';
import { podmanEngine } from '../support/podman.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const store = storeForFile();
const folder = temporaryFolder('cairn-peers-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// No RUN: these tests are about archives, and work for everyone.
const image = 'archive-test:v1';
let saved: { readonly id: string; readonly archive: string } | undefined;

/** One image with links, modes and metadata, built and saved once. */
function sample(): { readonly id: string; readonly archive: string } {
  if (saved) return saved;
  const context = stage(fixtureNamed('copy-hard-links'));
  try {
    importBases(store, baseImages.slice(0, 1));
    const dockerfile =
      'FROM busybox\nCOPY t /t\nCOPY --chown=5:6 t /owned\nENV A="b c"\nLABEL x=y\nCMD ["cat", "/t/sub/c"]\n';
    const built = spawnSync(
      store.command[0]!,
      [...store.command.slice(1), 'build', '-q', '-t', image, '-f', '-', context],
      {
        input: dockerfile,
        encoding: 'utf8',
        env: { ...process.env, ...store.env },
      },
    );
    expect(built.status, built.stderr).toBe(0);
    const archive = join(folder, 'sample.tar');
    mustCall(store, ['save', '-o', archive, image]);
    saved = { id: built.stdout.trim(), archive };
    return saved;
  } finally {
    rmSync(context, { recursive: true });
  }
}

function succeed(program: string, words: readonly string[]): string {
  const run = spawnSync(program, words, { encoding: 'utf8', maxBuffer: 1 << 26 });
  expect(run.status, `${program} ${words.join(' ')}: ${run.stderr}`).toBe(0);
  return run.stdout;
}

/** Loads an archive into a fresh store; its image must be the sample, with the same files, under `tag`. */
function expectSampleIn(
  archive: string,
  options: { readonly tag?: string; readonly sameId?: boolean } = {},
): void {
  const root = temporaryFolder('cairn-loaded-');
  try {
    const fresh = cairnEngine(root);
    const printed = mustCall(fresh, ['load', '-i', archive]);
    if (options.tag !== undefined) expect(printed).toContain(`Loaded image: ${options.tag}`);
    const id = /^Loaded image(?: ID)?: (\S+)$/m.exec(printed)![1]!;
    if (options.sameId ?? true) {
      expect(mustCall(fresh, ['image', 'inspect', '-f', '{{.Id}}', id]).trim()).toBe(sample().id);
    }
    const again = join(root, 'again.tar');
    mustCall(fresh, ['save', '-o', again, id]);
    const [expected, actual] = [openArchive(sample().archive), openArchive(again)];
    expect(describeDifferences(compareFiles(flatten(expected.layers), flatten(actual.layers)))).toBe('');
    expected.close();
    actual.close();
    expect(call(fresh, ['fsck'])).toMatchObject({ status: 0 });
    rmSync(again);
    const layout = readLayout(root);
    expect([...layout.referenced].filter((digest) => !layout.present.has(digest))).toEqual([]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

describe('the store, read in place', () => {
  test('is an image layout whose every reference resolves', () => {
    sample();
    const layout = readLayout(store.root);
    expect([...layout.referenced].filter((digest) => !layout.present.has(digest))).toEqual([]);
    expect(JSON.parse(readFileSync(join(store.root, 'oci-layout'), 'utf8'))).toMatchObject({
      imageLayoutVersion: '1.0.0',
    });
  });

  describe('by skopeo and umoci', () => {
    skipBecause(unlessInstalled('skopeo', 'umoci'));

    test('is inspected by name and tag', () => {
      const { id } = sample();
      const shown = JSON.parse(succeed('skopeo', ['inspect', `oci:${store.root}:${image}`])) as {
        Env: string[];
        Layers: string[];
      };
      expect(shown.Layers).toHaveLength(3);
      expect(shown.Env).toContain('A=b c');
      const raw = succeed('skopeo', ['inspect', '--raw', `oci:${store.root}:${image}`]);
      expect((JSON.parse(raw) as { config: { digest: string } }).config.digest).toBe(id);
    });

    test('is listed', () => {
      sample();
      expect(succeed('umoci', ['ls', '--layout', store.root])).toContain(image);
    });

    test('is copied out, blobs verified', () => {
      sample();
      succeed('skopeo', ['copy', `oci:${store.root}:${image}`, `dir:${join(folder, 'dir')}`]);
      expect(readdirSync(join(folder, 'dir'))).toContain('manifest.json');
    });
  });
});

describe('an archive that cairn saved', () => {
  test('loads into a fresh cairn with the same ID and tag', () => {
    expectSampleIn(sample().archive, { tag: image });
  });

  test('loads from standard input, also gzipped', () => {
    const { archive, id } = sample();
    const root = temporaryFolder('cairn-stdin-');
    try {
      const command = cairnEngine(root)
        .command.map((word) => `'${word}'`)
        .join(' ');
      const shell = `gzip -c '${archive}' | CAIRN_ROOT='${root}' ${command} load`;
      expect(succeed('sh', ['-c', shell])).toContain(`Loaded image: ${image}`);
      expect(mustCall(cairnEngine(root), ['images', '-q', '--no-trunc']).trim()).toBe(id);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });

  describe('in dockerd', () => {
    const docker = dockerEngine();
    skipBecause(
      firstOf(docker ? undefined : 'needs a docker daemon (scripts/peers-up.sh starts one)', unlessRoot()),
    );

    test('loads, runs, and comes back from docker save as the same image', () => {
      const { archive, id } = sample();
      expect(mustCall(docker!, ['load', '-i', archive])).toContain(image);
      expect(mustCall(docker!, ['image', 'inspect', '-f', '{{.Id}}', image]).trim()).toBe(id);
      expect(mustCall(docker!, ['run', '--rm', '--network', 'none', image])).toBe('linked\n');
      const back = join(folder, 'docker-save.tar');
      mustCall(docker!, ['save', '-o', back, image]);
      mustCall(docker!, ['rmi', image]);
      expectSampleIn(back, { tag: image });
    });
  });

  describe('in podman', () => {
    skipBecause(firstOf(unlessRoot(), unlessInstalled('podman')));

    test('loads, runs, and comes back from podman save in each of its formats', () => {
      const { archive, id } = sample();
      const podman = podmanEngine();
      try {
        expect(mustCall(podman, ['load', '-i', archive])).toContain(image);
        expect(mustCall(podman, ['image', 'inspect', '-f', '{{.Id}}', image]).trim()).toBe(
          id.replace('sha256:', ''),
        );
        expect(mustCall(podman, ['run', '--rm', '--network', 'none', image])).toBe('linked\n');
        for (const format of ['docker-archive', 'oci-archive']) {
          const back = join(folder, `podman-${format}.tar`);
          mustCall(podman, ['save', '--format', format, '-o', back, image]);
          // oci-archive rewrites nothing, so the image keeps its ID there too.
          expectSampleIn(back, {});
        }
      } finally {
        podman.close();
      }
    });
  });

  describe('for skopeo', () => {
    skipBecause(unlessInstalled('skopeo'));
    const compressions = [
      ['docker-archive', 'docker-archive:', []],
      ['oci-archive, gzip', 'oci-archive:', ['--dest-compress-format', 'gzip', '--dest-compress']],
      ['oci-archive, zstd', 'oci-archive:', ['--dest-compress-format', 'zstd', '--dest-compress']],
    ] as const;

    test.each(['docker-archive', 'oci-archive'])('is a readable %s', (transport) => {
      const shown = JSON.parse(
        succeed('skopeo', ['inspect', '--config', `${transport}:${sample().archive}`]),
      ) as object;
      expect(shown).toMatchObject({ config: { Cmd: ['cat', '/t/sub/c'] } });
    });

    test.each(compressions)('comes back through skopeo copy to %s', (name, transport, flags) => {
      const target = join(folder, `skopeo-${name.replace(/\W+/g, '-')}.tar`);
      const source = `docker-archive:${sample().archive}`;
      succeed('skopeo', ['copy', ...flags, source, `${transport}${target}:${image}`]);
      expectSampleIn(target, { sameId: true });
    });
  });
});

describe('an old docker archive', () => {
  test('with layer folders, links between them and no layout loads', () => {
    const target = join(folder, 'old.tar');
    rewriteAsOldArchive(sample().archive, target);
    expectSampleIn(target, { tag: image });
  });
});

/** Rewrites an archive the way engines before 25 wrote it: `<hex>.json`, `<id>/layer.tar`, `repositories`; nothing else. */
function rewriteAsOldArchive(source: string, target: string): void {
  const script = `
    set -eu
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/in" "$work/out"
    tar -xf "$1" -C "$work/in"
    node -e '
      const { cpSync, mkdirSync, readFileSync, writeFileSync, symlinkSync } = require("node:fs");
      const [from, to] = process.argv.slice(1);
      const [manifest] = JSON.parse(readFileSync(from + "/manifest.json", "utf8"));
      const seen = new Map();
      const layers = manifest.Layers.map((name, i) => {
        const id = String(i).padStart(64, "0");
        mkdirSync(to + "/" + id);
        writeFileSync(to + "/" + id + "/VERSION", "1.0");
        writeFileSync(to + "/" + id + "/json", "{}");
        if (seen.has(name)) symlinkSync("../" + seen.get(name), to + "/" + id + "/layer.tar");
        else cpSync(from + "/" + name, to + "/" + id + "/layer.tar");
        seen.set(name, id + "/layer.tar");
        return id + "/layer.tar";
      });
      const config = manifest.Config.split("/").pop().replace(/[.]json$/, "") + ".json";
      cpSync(from + "/" + manifest.Config, to + "/" + config);
      writeFileSync(to + "/manifest.json", JSON.stringify([{ Config: config, RepoTags: manifest.RepoTags, Layers: layers }]));
      writeFileSync(to + "/repositories", "{}");
    ' "$work/in" "$work/out"
    tar -cf "$2" -C "$work/out" .
  `;
  succeed('sh', ['-c', script, 'sh', source, target]);
}
