import type { Digest } from '../../oci/index.ts';
import type { ContentSource, LayerEntry } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';
import { emptyTree } from '../copy/empty-tree.ts';
import { parentOf } from '../copy/resolve-path.ts';
import type { SourceNode, SourceTree } from '../copy/source-tree.ts';
import { TreeEditor } from '../copy/tree-editor.ts';
import type { Archive } from './read-archive.ts';
import { unpackArchive } from './unpack-archive.ts';

type FileEntry = Extract<LayerEntry, { readonly type: 'file' }>;

/** The files that unpacking an archive into an empty folder would give. Nothing is unpacked. */
export class ArchiveTree implements SourceTree {
  readonly #nodes = new Map<ByteString, SourceNode>();
  readonly #names = new Map<ByteString, ByteString[]>();
  readonly #files = new Map<ByteString, FileEntry>();

  constructor(archive: Archive) {
    const root = { type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0 } as const;
    this.#nodes.set('' as ByteString, root);
    const editor = new TreeEditor(emptyTree, 0);
    const contentOf = () => {
      throw new Error('an empty folder has no files');
    };
    unpackArchive(editor, archive, '' as ByteString, { mtimeOf: (member) => member.mtime, contentOf });
    for (const entry of editor.entries()) this.#add(entry);
  }

  get(path: ByteString): SourceNode | undefined {
    return this.#nodes.get(path);
  }

  list(path: ByteString): readonly ByteString[] {
    return this.#names.get(path) ?? [];
  }

  digest(path: ByteString): Digest {
    const digest = this.#files.get(path)?.digest;
    if (digest === undefined) throw new Error(`not a file of the archive: ${path}`);
    return digest;
  }

  content(path: ByteString): ContentSource {
    const file = this.#files.get(path);
    if (file === undefined) throw new Error(`not a file of the archive: ${path}`);
    return file.source;
  }

  #add(entry: LayerEntry): void {
    if (entry.type === 'whiteout') return;
    this.#nodes.set(entry.path, this.#nodeOf(entry));
    if (entry.path === '') return;
    const parent = parentOf(entry.path);
    const name = entry.path.slice(parent === '' ? 0 : parent.length + 1) as ByteString;
    const names = this.#names.get(parent);
    // Entries come in byte order, so the names of a folder do.
    if (names) names.push(name);
    else this.#names.set(parent, [name]);
  }

  #nodeOf(entry: Exclude<LayerEntry, { readonly type: 'whiteout' }>): SourceNode {
    if (entry.type === 'hardlink') {
      const first = this.#files.get(entry.target) as FileEntry;
      this.#files.set(entry.path, first);
      const shared = { ...this.#nodes.get(entry.target), inode: entry.target } as SourceNode;
      this.#nodes.set(entry.target, shared);
      return shared;
    }
    if (entry.type === 'file') this.#files.set(entry.path, entry);
    const { path: _, ...node } = entry;
    return { size: 0, ...node } as SourceNode;
  }
}
