import type { ByteString } from '../../sys/index.ts';

/**
 * Compares two paths by component in byte order, so that a directory comes directly before its contents
 * (`a`, `a/b`, `a.b`). @returns a negative number, 0 or a positive number
 */
export function comparePaths(a: ByteString, b: ByteString): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (left === right) continue;
    if (left === slash) return -1;
    if (right === slash) return 1;
    return left - right;
  }
  return a.length - b.length;
}

const slash = 0x2f;

/** Sorts things that have a path as `comparePaths` does, stable, into a new array. */
export function sortEntries<T extends { readonly path: ByteString }>(entries: Iterable<T>): T[] {
  // NUL is in no path and sorts before every byte: with it as the separator, plain string order is the order.
  const keyed = Array.from(entries, (entry) => ({ key: entry.path.replaceAll('/', '\0'), entry }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return keyed.map(({ entry }) => entry);
}

/** The directory that holds `path` ('' for names in the root). */
export function parentOf(path: ByteString): ByteString {
  const end = path.lastIndexOf('/');
  return (end === -1 ? '' : path.slice(0, end)) as ByteString;
}

/** The last component of `path`. */
export function baseOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

/** Path of `name` in the directory `folder`. */
export function joinPath(folder: ByteString, name: ByteString): ByteString {
  return (folder === '' ? name : `${folder}/${name}`) as ByteString;
}

/** True when `path` lies below the directory `folder`; the root holds everything but itself. */
export function isBelow(path: ByteString, folder: ByteString): boolean {
  if (folder === '') return path !== '';
  return path.length > folder.length && path.charCodeAt(folder.length) === slash && path.startsWith(folder);
}

/**
 * A name from a tar as a path inside the root: without empty components, `.` and a leading slash; `..` takes one
 * component back and stops at the root, whatever links there may be.
 */
export function cleanPath(name: ByteString): ByteString {
  // Names are clean as a rule: nothing to split then.
  if (!/^\/|\/\/|\/$|(^|\/)\.{1,2}(\/|$)/.test(name)) return name;
  const kept: string[] = [];
  for (const component of name.split('/')) {
    if (component === '..') kept.pop();
    else if (component !== '' && component !== '.') kept.push(component);
  }
  return kept.join('/') as ByteString;
}
