import type { Digest } from '../../oci/index.ts';
import type { ContentSource } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';
import type { SourceNode, SourceTree } from '../copy/source-tree.ts';

/** A file, folder or link of a context that a build has looked at. */
export interface UsedFile {
  readonly path: ByteString;
  readonly type: SourceNode['type'];
  readonly mode: number;
  /** Files. */
  readonly digest?: Digest;
  /** Symbolic links. */
  readonly link?: ByteString;
}

/** A context that remembers what a build takes from it: contents that were asked for, and folders and links on the way. */
export class UsedFiles implements SourceTree {
  readonly #tree: SourceTree;
  readonly #digests = new Map<ByteString, Digest>();
  readonly #others = new Map<ByteString, SourceNode>();

  constructor(tree: SourceTree) {
    this.#tree = tree;
  }

  get(path: ByteString): SourceNode | undefined {
    const node = this.#tree.get(path);
    if (node !== undefined && node.type !== 'file') this.#others.set(path, node);
    return node;
  }

  list(path: ByteString): readonly ByteString[] {
    return this.#tree.list(path);
  }

  digest(path: ByteString): Digest {
    const digest = this.#tree.digest(path);
    this.#digests.set(path, digest);
    return digest;
  }

  content(path: ByteString): ContentSource {
    return this.#tree.content(path);
  }

  /** What was used so far, in byte order of the paths; the root itself is left out. */
  used(): readonly UsedFile[] {
    const files = [...this.#digests].map(([path, digest]): UsedFile => {
      const { type = 'file', mode = 0 } = this.#tree.get(path) ?? {};
      return { path, type, mode, digest };
    });
    const others = [...this.#others].map(
      ([path, { type, mode, link }]): UsedFile => ({
        path,
        type,
        mode,
        ...(link === undefined ? {} : { link }),
      }),
    );
    return [...files, ...others].filter(({ path }) => path !== '').sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}
