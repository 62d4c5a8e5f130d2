import { spawnSync } from 'node:child_process';
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import type { LayerEntry, Tree } from '../../src/store/contracts.ts';
import { openStore, saveImages, selectImages } from '../../src/store/index.ts';
import { emptyTree, scanUpper, TocBuilder } from '../../src/store/layer/index.ts';
import { dockerEngine } from '../compare/engine.ts';
import { describeTree, OverlayStack } from '../support/overlay-stack.ts';
import { randomLayer, withoutLinkedNodes } from '../support/random-layer.ts';
import { skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const keepAll = Number.POSITIVE_INFINITY;

/** A base of every kind of file, and layers of real commands on it. */
const scripts = [
  'mkdir -p d/s t; echo 1 > d/a; echo 2 > d/b; echo 3 > d/s/c; chmod 1777 t; ln d/a d/link; mkfifo p',
  'touch t/new; rm d/b; ln d/a again; chmod 4711 d/s/c',
  'rm -r d; mkdir -m 700 d; echo new > d/s; rm p; mkdir p; touch p/q',
  'mv p r; ln -s /nowhere d/l; setcap cap_setuid+ep again; rm -r t; echo file > t',
];

describe('layers as other tools unpack them', () => {
  skipBecause(unlessRoot());
  let stack: OverlayStack;
  let folder: string;
  beforeEach(() => {
    stack = new OverlayStack();
    folder = mkdtempSync('/dev/shm/cairn-test-');
  });
  afterEach(() => {
    stack.remove();
    rmSync(folder, { recursive: true });
  });

  /** An image of a random base and the layers that the scripts make, in a store of its own. */
  const makeImage = async (
    base: readonly LayerEntry[],
  ): Promise<{ readonly root: string; readonly tree: Tree }> => {
    const layers = [base];
    stack.pushEntries(base);
    for (const script of scripts) {
      const { upper } = stack.run(script);
      const entries = scanUpper(upper, stack.tree, { epoch: keepAll });
      layers.push(entries);
      stack.pushEntries(entries);
    }
    const root = `${folder}/store`;
    const store = openStore({ root });
    try {
      const diffIds = [];
      for (const entries of layers) diffIds.push((await store.layers.write(entries)).diffId);
      const history = diffIds.map(() => ({ created: '1980-01-01T00:00:01Z', created_by: 'test' }));
      const rootfs = { type: 'layers' as const, diff_ids: diffIds };
      const image = store.images.put({ architecture: 'amd64', os: 'linux', config: {}, rootfs, history });
      store.images.tag(image.manifestDigest, [parseReference('layers:test')]);
      const archive = createWriteStream(`${folder}/image.tar`);
      await saveImages(store, selectImages(store, ['layers:test']), archive);
      archive.end();
      await finished(archive);
    } finally {
      store.close();
    }
    return { root, tree: stack.tree };
  };

  const run = (program: string, words: readonly string[]): Buffer => {
    const result = spawnSync(program, words, { maxBuffer: 1 << 28 });
    expect(result.status, `${program} ${words.join(' ')}: ${result.stderr}`).toBe(0);
    return result.stdout;
  };

  /** The tree in a tar without what a container engine adds to every root. */
  const exported = (tar: Buffer): Tree => {
    const builder = new TocBuilder();
    builder.write(tar);
    return emptyTree().apply(builder.finish());
  };
  const stubs = /^(\.dockerenv|dev|etc|proc|sys)(\/|$)/;
  const withoutStubs = (tree: Tree): unknown[] =>
    describeTree(tree, keepAll)
      .filter(({ path }) => !stubs.test(path as string))
      // Docker carries file capabilities only, and takes 1970 for anything earlier.
      .map((node) => ({ ...node, xattrs: capabilityOf(node), mtime: timeOf(node) }));

  describe('umoci', () => {
    skipBecause(unlessInstalled('umoci'));
    test.each([1, 2, 3])('unpacks image %i from the store to what its tree says', async (seed) => {
      const { root, tree } = await makeImage(
        withoutLinkedNodes(randomLayer(3000 + seed, { whiteouts: false })),
      );
      run('umoci', ['raw', 'unpack', '--image', `${root}:layers:test`, `${folder}/rootfs`]);
      const seen = run('tar', ['-c', '--format=posix', '--xattrs', '-C', `${folder}/rootfs`, '.']);
      expect(describeTree(exported(seen), keepAll)).toEqual(describeTree(tree, keepAll));
    });
  });

  describe('docker', () => {
    const docker = dockerEngine();
    skipBecause(docker === undefined ? 'needs a docker whose daemon runs' : undefined);
    test.each([1, 2, 3])('loads image %i and has the same files', async (seed) => {
      const { tree } = await makeImage(withoutLinkedNodes(randomLayer(4000 + seed, { whiteouts: false })));
      const call = (...words: string[]): Buffer =>
        run(docker!.command[0]!, [...docker!.command.slice(1), ...words]);
      call('load', '-i', `${folder}/image.tar`);
      const container = call('create', 'layers:test', 'x').toString().trim();
      try {
        expect(withoutStubs(exported(call('export', container)))).toEqual(withoutStubs(tree));
      } finally {
        call('rm', container);
        call('rmi', 'layers:test');
      }
    });
  });
});

function capabilityOf(node: Record<string, unknown>): unknown {
  return (node.xattrs as Record<string, unknown> | undefined)?.['security.capability'];
}

function timeOf(node: Record<string, unknown>): number | undefined {
  return typeof node.mtime === 'number' ? Math.max(0, node.mtime) : undefined;
}
