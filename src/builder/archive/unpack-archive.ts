import { CairnError } from '../../errors/index.ts';
import type { ContentSource } from '../../store/contracts.ts';
import { type ByteString, toText } from '../../sys/index.ts';
import { joinPath, parentOf, resolvePath } from '../copy/resolve-path.ts';
import type { EditedNode, Ownership, TreeEditor, VisibleNode } from '../copy/tree-editor.ts';
import type { ArchiveMember } from './archive-reader.ts';
import type { Archive } from './read-archive.ts';

export interface UnpackArchiveOptions {
  /** Of everything unpacked (`--chown`); the archive's own owners when absent. */
  readonly owner?: Ownership;
  /** The time that a member gets, in seconds. */
  readonly mtimeOf: (member: ArchiveMember) => number;
  /** Where the bytes of a file are that the stage has already, for a hard link to it. */
  readonly contentOf: (path: ByteString) => ContentSource;
}

/**
 * Unpacks an archive below `destination` as Docker's ADD does (moby/go-archive, Unpack, in a chroot of the destination): a later
 * member takes the place of an earlier one and of what was there; only folder over folder merges, with the member's mode and owner;
 * missing parents are root's and 0755; links on the way are followed, inside the destination.
 * @param destination - resolved, and a folder that exists
 * @throws {CairnError} ARCHIVE_INVALID, NOT_A_DIRECTORY, LINK_LOOP
 */
export function unpackArchive(
  editor: TreeEditor,
  archive: Archive,
  destination: ByteString,
  options: UnpackArchiveOptions,
): void {
  const unpacking = new Unpacking(editor, archive, destination, options);
  for (const member of archive.members) unpacking.add(member);
}

/** What a member brings along, whatever it is. */
interface MemberAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly xattrs?: Readonly<Record<string, ByteString>>;
}

class Unpacking {
  readonly #editor: TreeEditor;
  readonly #archive: Archive;
  readonly #destination: ByteString;
  readonly #options: UnpackArchiveOptions;

  constructor(editor: TreeEditor, archive: Archive, destination: ByteString, options: UnpackArchiveOptions) {
    this.#editor = editor;
    this.#archive = archive;
    this.#destination = destination;
    this.#options = options;
  }

  add(member: ArchiveMember): void {
    // The destination itself ("./"): it exists, and keeps its mode and owner.
    if (member.path === '') return;
    const path = joinPath(this.#parent(member), member.path.slice(member.path.lastIndexOf('/') + 1));
    const before = this.#editor.get(path);
    const attributes = this.#attributes(member);
    if (member.type === 'dir') {
      this.#addFolder(path, attributes, before);
      return;
    }
    if (member.type === 'hardlink') {
      this.#addLink(path, member, attributes);
      return;
    }
    if (before !== undefined) this.#editor.removeAll(path);
    this.#editor.put(path, this.#node(member, attributes));
  }

  #addFolder(path: ByteString, attributes: MemberAttributes, before: VisibleNode | undefined): void {
    const isMerge = before?.type === 'dir';
    if (before !== undefined && !isMerge) this.#editor.removeAll(path);
    const xattrs = { ...(isMerge ? before.xattrs : {}), ...attributes.xattrs };
    this.#editor.put(path, {
      ...attributes,
      type: 'dir',
      ...(Object.keys(xattrs).length > 0 ? { xattrs } : {}),
    });
  }

  #addLink(path: ByteString, member: ArchiveMember, attributes: MemberAttributes): void {
    const link = member.link as ByteString;
    const target = joinPath(this.#resolve(parentOf(link)), link.slice(link.lastIndexOf('/') + 1));
    // Docker removes the name before it links: a member that is a link to itself finds nothing any more.
    if (this.#editor.get(path) !== undefined && path !== target) this.#editor.removeAll(path);
    const node = this.#editor.get(target);
    if (node === undefined || path === target)
      throw invalid(member, `is a hard link to "${toText(link)}", which does not exist`);
    if (node.type === 'dir') throw invalid(member, `is a hard link to the directory "${toText(link)}"`);
    this.#editor.link(path, target, { attributes, contentOf: this.#options.contentOf });
  }

  #node(member: ArchiveMember, attributes: MemberAttributes): EditedNode {
    const { type, size, digest, link, rdev } = member;
    switch (type) {
      case 'file':
        if (digest === undefined) throw new Error('a file of an archive without a digest');
        return { ...attributes, type, size, digest, source: this.#archive.content(member) };
      case 'symlink':
        return { ...attributes, type, mode: 0o777, link: link as ByteString };
      case 'char':
      case 'block':
        // To overlayfs such a device says that something was deleted.
        if (type === 'char' && rdev?.[0] === 0 && rdev[1] === 0)
          throw invalid(member, 'is a device 0:0, which an image cannot hold');
        return { ...attributes, type, rdev: rdev as readonly [number, number] };
      default:
        return { ...attributes, type: 'fifo' };
    }
  }

  /** The folder that a member goes into, made if it is missing. */
  #parent(member: ArchiveMember): ByteString {
    const named = parentOf(member.path);
    const folder = this.#resolve(named);
    this.#editor.mkdirAll(folder, { mode: 0o755, uid: 0, gid: 0 });
    return folder;
  }

  /** Links are followed as in a chroot: they cannot leave the destination. */
  #resolve(path: ByteString): ByteString {
    const inside = { get: (inner: ByteString) => this.#editor.get(joinPath(this.#destination, inner)) };
    return joinPath(this.#destination, resolvePath(inside, path, { followLast: true }));
  }

  #attributes(member: ArchiveMember): MemberAttributes {
    const { owner, mtimeOf } = this.#options;
    return {
      mode: member.mode,
      uid: owner?.uid ?? member.uid,
      gid: owner?.gid ?? member.gid,
      mtime: mtimeOf(member),
      ...(member.xattrs ? { xattrs: member.xattrs } : {}),
    };
  }
}

function invalid(member: ArchiveMember, reason: string): CairnError {
  return new CairnError('ARCHIVE_INVALID', {
    message: `"${toText(member.path)}" in the archive ${reason}`,
    help: 'make the archive again, or unpack it and copy the files',
  });
}
