import { createHash, type Hash } from 'node:crypto';
import { type Digest, fromHex } from '../../oci/index.ts';
import type { ByteString } from '../../sys/index.ts';
import { joinPath } from './resolve-path.ts';
import type { SourceNode, SourceTree } from './source-tree.ts';

export interface SourceDigestOptions {
  /** A folder stands for its contents: its own attributes do not count. */
  readonly contentsOnly: boolean;
  /** The time that a copied node gets. */
  readonly mtimeOf: (node: SourceNode) => number;
}

/**
 * Digest over everything that a copy of `path` could take from it: names, types, attributes, contents, links, and which
 * files are hard links of each other. One pass, no intermediate list: this is what a cached COPY costs.
 * @param path - where the source really lies; it exists.
 */
export function digestSource(tree: SourceTree, path: ByteString, options: SourceDigestOptions): Digest {
  const pass = new SourceDigest(tree, options);
  pass.add(path, '' as ByteString, options.contentsOnly);
  return pass.finish();
}

/** Strings are gathered up to this many characters before they are hashed: one call for each node would cost more. */
const pieceLength = 1 << 16;

class SourceDigest {
  readonly #tree: SourceTree;
  readonly #options: SourceDigestOptions;
  readonly #hash: Hash = createHash('sha256');
  readonly #groups = new Map<string, number>();
  #piece = '';

  constructor(tree: SourceTree, options: SourceDigestOptions) {
    this.#tree = tree;
    this.#options = options;
  }

  add(path: ByteString, name: ByteString, isContentsOnly: boolean): void {
    const node = this.#tree.get(path);
    if (node === undefined) throw new Error(`no node at ${path}`);
    const isOnlyContents = isContentsOnly && node.type === 'dir';
    this.#put(describe(node, name, isOnlyContents ? null : this.#options.mtimeOf(node)));
    if (node.type === 'file') this.#put(`${this.#tree.digest(path)}${this.#group(node)};`);
    if (node.type !== 'dir') return;
    for (const child of this.#tree.list(path)) this.add(joinPath(path, child), child, false);
    this.#put('end;');
  }

  finish(): Digest {
    this.#flush();
    return fromHex(this.#hash.digest('hex'));
  }

  /** Hard links by the order of their first names, since inode numbers mean nothing elsewhere. */
  #group(node: SourceNode): string {
    if (node.inode === undefined) return '';
    const known = this.#groups.get(node.inode) ?? this.#groups.size;
    this.#groups.set(node.inode, known);
    return `=${known}`;
  }

  #put(text: string): void {
    this.#piece += text;
    if (this.#piece.length >= pieceLength) this.#flush();
  }

  #flush(): void {
    // Names, links and attribute values are byte strings; the rest is ASCII.
    this.#hash.update(this.#piece, 'latin1');
    this.#piece = '';
  }
}

/** Every part has a fixed form or its length before it, so that no two nodes are described alike. */
function describe(node: SourceNode, name: ByteString, mtime: number | null): string {
  if (node.type === 'dir' && mtime === null) return 'contents;';
  const head = `${node.type} ${name.length}:${name} ${node.mode} ${node.uid} ${node.gid} ${mtime} ${node.size};`;
  const link = node.link === undefined ? '' : `link ${node.link.length}:${node.link};`;
  const device = node.rdev === undefined ? '' : `device ${node.rdev[0]} ${node.rdev[1]};`;
  if (node.xattrs === undefined) return head + link + device;
  const xattrs = JSON.stringify(node.xattrs);
  return `${head}${link}${device}xattrs ${xattrs.length}:${xattrs};`;
}
