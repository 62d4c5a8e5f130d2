import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ContentSource, LayerEntry, Toc, Tree, TreeNode } from '../../src/store/contracts.ts';
import { emptyTree, TocBuilder, unpackLayer } from '../../src/store/layer/index.ts';
import type { ByteString } from '../../src/sys/index.ts';
import { packBytes } from './pack-bytes.ts';

/** Layers on top of each other, as overlay has them on disk and as a tree. */
export class OverlayStack {
  readonly #folder = mkdtempSync('/dev/shm/cairn-test-');
  readonly #lowers: string[] = [];
  readonly #tars = new Map<string, string>();
  tree: Tree = emptyTree();

  pushEntries(entries: readonly LayerEntry[]): Toc {
    const { toc, tar } = packBytes(entries);
    this.push(toc, tar);
    return toc;
  }

  push(toc: Toc, tar: Buffer): void {
    const target = `${this.#folder}/lower${this.#lowers.length}`;
    mkdirSync(target, { mode: 0o700 });
    writeFileSync(`${target}.tar`, tar);
    const content = (node: TreeNode): ContentSource => {
      const path = this.#tars.get(node.content!.layer)!;
      return { kind: 'slice', path, offset: node.content!.offset };
    };
    unpackLayer(toc, { target, tarPath: `${target}.tar`, parent: { tree: this.tree, content } });
    this.#tars.set(toc.diffId, `${target}.tar`);
    this.#lowers.push(target);
    this.tree = this.tree.apply(toc);
  }

  /** Runs a shell script in the merged root. @returns the upper directory, and what GNU tar sees in the root after */
  run(script: string): { readonly upper: string; readonly merged: Tree } {
    const at = `${this.#folder}/run${this.#lowers.length}`;
    for (const name of ['', '/upper', '/work', '/merged']) mkdirSync(`${at}${name}`);
    const options = `lowerdir=${[...this.#lowers].reverse().join(':')},upperdir=${at}/upper,workdir=${at}/work`;
    const outer = `set -e
      mount -t overlay overlay -o "$1,redirect_dir=off,metacopy=off,index=off" "$2/merged"
      cd "$2/merged"
      umask 022
      sh -ec "$3"
      tar -c --format=posix --sort=name --xattrs --numeric-owner -f "$2/merged.tar" .`;
    execFileSync('unshare', ['--mount', 'sh', '-c', outer, 'sh', options, at, script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const builder = new TocBuilder();
    builder.write(execFileSync('cat', [`${at}/merged.tar`], { maxBuffer: 1 << 28 }));
    return { upper: `${at}/upper`, merged: emptyTree().apply(builder.finish()) };
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}

/** Everything that two trees must agree on; times of directories that the kernel moved are ours to choose. */
export function describeTree(tree: Tree, epoch: number): Record<string, unknown>[] {
  const groups = new Map<string, ByteString>();
  return [...tree.walk()].map(([path, node]) => {
    const { type, mode, uid, gid, size, link, rdev, xattrs, digest } = node;
    const mtime = type === 'dir' ? undefined : Math.min(node.mtime, epoch);
    return {
      path,
      type,
      mode,
      uid,
      gid,
      size,
      link,
      rdev,
      xattrs,
      digest,
      mtime,
      first: firstName(groups, path, node),
    };
  });
}

function firstName(groups: Map<string, ByteString>, path: ByteString, node: TreeNode): ByteString {
  if (node.inode === undefined) return path;
  const first = groups.get(node.inode) ?? path;
  groups.set(node.inode, first);
  return first;
}
