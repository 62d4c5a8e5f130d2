import { CairnError } from '../../errors/index.ts';
import { type ByteString, toText } from '../../sys/index.ts';

/** As many as path resolution inside a root allows before it is a loop. */
const maxLinks = 255;

export interface LinkLookup {
  get(path: ByteString): { readonly type: string; readonly link?: ByteString } | undefined;
}

/**
 * Where `path` really lies in a tree: links are followed inside the root (absolute targets and `..` cannot leave it), the
 * last component only when `followLast`. What does not exist is kept as it is, so a dangling link names its target.
 * @param path - with or without leading slash; `.` and `..` allowed.
 * @throws {CairnError} LINK_LOOP
 */
export function resolvePath(
  tree: LinkLookup,
  path: ByteString,
  options: { readonly followLast: boolean },
): ByteString {
  let pending = components(path);
  let resolved: ByteString[] = [];
  let links = 0;
  while (pending.length > 0) {
    const [name, ...rest] = pending as [ByteString, ...ByteString[]];
    pending = rest;
    if (name === '..') {
      resolved = resolved.slice(0, -1);
      continue;
    }
    const here = joinPath(...resolved, name);
    const node = tree.get(here);
    const follow = rest.length > 0 || options.followLast;
    if (node?.type !== 'symlink' || node.link === undefined || !follow) {
      resolved = [...resolved, name];
      continue;
    }
    if (++links > maxLinks)
      throw new CairnError('LINK_LOOP', {
        message: `too many links on the way to "/${toText(path)}"`,
        help: 'symbolic links point at each other in a circle; remove one of them',
      });
    if (node.link.startsWith('/')) resolved = [];
    pending = [...components(node.link), ...pending];
  }
  return joinPath(...resolved);
}

/** Joins components with slashes, leaving out empty ones: the form in which trees name paths. */
export function joinPath(...parts: readonly string[]): ByteString {
  return parts.filter((part) => part !== '').join('/') as ByteString;
}

/** The components of a path without empty ones and `.`; `..` is kept. */
export function components(path: string): ByteString[] {
  return path.split('/').filter((part) => part !== '' && part !== '.') as ByteString[];
}

/** The folder of a tree path; '' for a path at the top. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0)) as ByteString;
}

/** The last component of a tree path. */
export function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

/** `..` and `.` resolved without looking at links, as Go's `filepath.Clean` of a path that starts at the root. */
export function cleanPath(path: string): ByteString {
  const out: string[] = [];
  for (const part of components(path)) {
    if (part === '..') out.pop();
    else out.push(part);
  }
  return joinPath(...out);
}
