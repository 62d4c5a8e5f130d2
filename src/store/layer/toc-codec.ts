import { type DiffId, fromHex, hexOf, isDigest } from '../../oci/index.ts';
import type { ByteString } from '../../sys/index.ts';
import type { Toc, TocEntry } from '../contracts.ts';
import { comparePaths } from './path-order.ts';

/**
 * The table of contents as it lies on disk: JSON, one array per entry. Raise the version whenever a table that older
 * code wrote would be read differently: the store then makes it again from the tar.
 */
const formatVersion = 1;

type Row = readonly [
  letter: string,
  path: string,
  mode: number,
  uid: number,
  gid: number,
  mtime: number,
  xattrs: Readonly<Record<string, string>> | 0,
  ...special: readonly (number | string)[],
];

const letters: Readonly<Record<TocEntry['type'], string>> = {
  file: 'f',
  dir: 'd',
  symlink: 'l',
  hardlink: 'h',
  fifo: 'p',
  char: 'c',
  block: 'b',
  whiteout: 'w',
  opaque: 'o',
};
const types = new Map(Object.entries(letters).map(([type, letter]) => [letter, type as TocEntry['type']]));

/** The table as text for a file of its own. */
export function encodeToc(toc: Toc): string {
  const { diffId, tarSize, contentSize } = toc;
  return JSON.stringify({
    version: formatVersion,
    diffId,
    tarSize,
    contentSize,
    entries: toc.entries.map(rowOf),
  });
}

function rowOf(entry: TocEntry): Row {
  const { path, mode, uid, gid, mtime } = entry;
  return [letters[entry.type], path, mode, uid, gid, mtime, entry.xattrs ?? 0, ...specialOf(entry)];
}

function specialOf(entry: TocEntry): readonly (number | string)[] {
  switch (entry.type) {
    case 'file':
      return [entry.size, entry.offset ?? 0, entry.digest === undefined ? '' : hexOf(entry.digest)];
    case 'symlink':
    case 'hardlink':
      return [entry.link ?? ''];
    case 'char':
    case 'block':
      return entry.rdev ?? [0, 0];
    default:
      return [];
  }
}

/**
 * Reads what `encodeToc` wrote, checking all of it.
 * @returns null when it is damaged or of another version: derived data is made anew, not repaired
 */
export function decodeToc(text: string): Toc | null {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(document) || document.version !== formatVersion) return null;
  const { diffId, tarSize, contentSize, entries: rows } = document;
  if (!isDigest(diffId) || !isCount(tarSize) || !isCount(contentSize) || !Array.isArray(rows)) return null;
  const entries: TocEntry[] = [];
  let last: TocEntry | undefined;
  for (const row of rows) {
    const entry = entryOf(row);
    if (entry === null || entry.size + (entry.offset ?? 0) > tarSize) return null;
    // A whiteout, the name itself and its opaque mark may share a path.
    if (last !== undefined && comparePaths(last.path, entry.path) > 0) return null;
    entries.push(entry);
    last = entry;
  }
  return { diffId: diffId as DiffId, tarSize, contentSize, entries };
}

function entryOf(row: unknown): TocEntry | null {
  if (!Array.isArray(row)) return null;
  const [letter, path, mode, uid, gid, mtime, xattrs, first, second, third] = row as unknown[];
  const type = types.get(letter as string);
  if (type === undefined || !isBytes(path)) return null;
  if (!isCount(mode) || mode > 0o7777 || !isCount(uid) || !isCount(gid) || !Number.isSafeInteger(mtime))
    return null;
  const common = { path, type, mode, uid, gid, mtime: mtime as number, size: 0 };
  const base: TocEntry = isXattrs(xattrs) ? { ...common, xattrs } : common;
  if (base === common && xattrs !== 0) return null;
  switch (type) {
    case 'file':
      if (!isCount(first) || !isCount(second) || typeof third !== 'string' || !isHex(third)) return null;
      return { ...base, size: first, offset: second, digest: fromHex(third) };
    case 'symlink':
    case 'hardlink':
      return isBytes(first) ? { ...base, link: first } : null;
    case 'char':
    case 'block':
      return isCount(first) && isCount(second) ? { ...base, rdev: [first, second] } : null;
    default:
      return base;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isHex(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

function isBytes(value: unknown): value is ByteString {
  return typeof value === 'string' && !/[^\x01-\xff]/.test(value);
}

function isXattrs(value: unknown): value is Readonly<Record<string, ByteString>> {
  return (
    isRecord(value) &&
    Object.values(value).every((bytes) => typeof bytes === 'string' && !/[^\0-\xff]/.test(bytes))
  );
}
