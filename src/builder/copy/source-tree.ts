import type { Digest } from '../../oci/index.ts';
import type { ContentSource } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';

/** A path that COPY may read. Two nodes with one `inode` are hard links of each other. */
export interface SourceNode {
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'char' | 'block';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly size: number;
  readonly link?: ByteString;
  readonly rdev?: readonly [major: number, minor: number];
  readonly xattrs?: Readonly<Record<string, ByteString>>;
  readonly inode?: string;
}

/**
 * Files that COPY, ADD and bind mounts read: the build context after .dockerignore, another stage, an image, a
 * fetched repository. Paths are relative to its root, without leading or trailing slash; the root is ''.
 */
export interface SourceTree {
  /** The node at exactly that path, no link followed; undefined when absent or ignored. */
  get(path: ByteString): SourceNode | undefined;
  /** Names in a folder, in byte order. */
  list(path: ByteString): readonly ByteString[];
  /** Digest of a file's content. */
  digest(path: ByteString): Digest;
  /** Where a file's bytes are. */
  content(path: ByteString): ContentSource;
}
