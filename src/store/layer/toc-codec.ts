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

/** Reads by index and builds each object in one piece: a table of 30,000 entries is read at every build. */
function entryOf(row: unknown): TocEntry | null {
  if (!Array.isArray(row)) return null;
  const fields = row as readonly unknown[];
  const type = types.get(fields[0] as string);
  const path = fields[1];
  const mode = fields[2];
  const uid = fields[3];
  const gid = fields[4];
  const mtime = fields[5];
  if (type === undefined || !isBytes(path) || !isCount(mode) || mode > 0o7777) return null;
  if (!isCount(uid) || !isCount(gid) || !isInteger(mtime)) return null;
  if (fields[6] !== 0 && !isXattrs(fields[6])) return null;
  const first = fields[7];
  const second = fields[8];
  let entry: TocEntry;
  switch (type) {
    case 'file': {
      const hex = fields[9];
      if (!isCount(first) || !isCount(second) || !isHex(hex)) return null;
      entry = { path, type, mode, uid, gid, mtime, size: first, offset: second, digest: fromHex(hex) };
      break;
    }
    case 'symlink':
    case 'hardlink':
      if (!isBytes(first)) return null;
      entry = { path, type, mode, uid, gid, mtime, size: 0, link: first };
      break;
    case 'char':
    case 'block':
      if (!isCount(first) || !isCount(second)) return null;
      entry = { path, type, mode, uid, gid, mtime, size: 0, rdev: [first, second] };
      break;
    default:
      entry = { path, type, mode, uid, gid, mtime, size: 0 };
  }
  return fields[6] === 0 ? entry : { ...entry, xattrs: fields[6] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isHex(text: unknown): text is string {
  return typeof text === 'string' && /^[0-9a-f]{64}$/.test(text);
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
