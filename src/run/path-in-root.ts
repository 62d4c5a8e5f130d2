import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type ByteString, fromBuffer, fsPath, toText } from '../sys/index.ts';

/** Where a path lies below a root directory. */
export interface PathInRoot {
  /** Relative to the root, without a link in it; '' is the root itself. */
  readonly path: ByteString;
  /** What is there, the last link followed; absent when it, or a directory on the way, does not exist. */
  readonly stats?: Stats;
  /** How many leading components of `path` exist. */
  readonly existing: number;
}

const linkLimit = 255;

/** Absolute host path of something below `root`. */
export function hostPath(root: string, path: ByteString): ByteString {
  const base = fromBuffer(Buffer.from(root));
  return (path === '' ? base : `${base}/${path}`) as ByteString;
}

/**
 * Follows every symbolic link of `path` as a process would whose root is `root`: absolute targets and `..` stay inside. What
 * does not exist is kept as written. Nothing may change below `root` meanwhile.
 * @throws {CairnError} LINK_LOOP; NOT_A_DIRECTORY when a component on the way is a file.
 */
export function resolveInRoot(root: string, path: ByteString): PathInRoot {
  const pending = split(path).reverse();
  const done: ByteString[] = [];
  let existing = 0;
  let stats: Stats | undefined = lstatSync(root);
  let links = 0;
  while (pending.length > 0) {
    const name = pending.pop()!;
    if (name === '..') {
      done.pop();
      existing = Math.min(existing, done.length);
      stats = existing === done.length ? lstatSync(fsPath(hostPath(root, join(done)))) : undefined;
      continue;
    }
    if (stats !== undefined && !stats.isDirectory()) throw notADirectory(join(done), path);
    done.push(name);
    stats = existing === done.length - 1 ? lstatOrNothing(root, join(done)) : undefined;
    if (stats?.isSymbolicLink()) {
      if (++links > linkLimit) throw linkLoop(path);
      const target = fromBuffer(readlinkSync(fsPath(hostPath(root, join(done))), 'buffer'));
      done.pop();
      if (target.startsWith('/')) done.length = 0;
      existing = done.length;
      stats = lstatSync(fsPath(hostPath(root, join(done))));
      pending.push(...split(target).reverse());
      continue;
    }
    if (stats !== undefined) existing = done.length;
  }
  return { path: join(done), existing, ...(stats === undefined ? {} : { stats }) };
}

function lstatOrNothing(root: string, path: ByteString): Stats | undefined {
  return lstatSync(fsPath(hostPath(root, path)), { throwIfNoEntry: false });
}

function split(path: ByteString): ByteString[] {
  return path.split('/').filter((name) => name !== '' && name !== '.') as ByteString[];
}

function join(names: readonly ByteString[]): ByteString {
  return names.join('/') as ByteString;
}

function notADirectory(found: ByteString, wanted: ByteString): CairnError {
  return new CairnError('NOT_A_DIRECTORY', {
    message: `"/${toText(found)}" on the way to "${toText(wanted)}" is not a directory in the image`,
  });
}

function linkLoop(path: ByteString): CairnError {
  return new CairnError('LINK_LOOP', {
    message: `"${toText(path)}" runs through more than ${linkLimit} symbolic links in the image`,
  });
}
