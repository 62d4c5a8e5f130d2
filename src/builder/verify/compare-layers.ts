import type { Toc, TocEntry } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';
import type { Detail } from './cause.ts';

/** A path that is not the same in two layers. */
export interface EntryDifference {
  readonly path: ByteString;
  /** What of its attributes differs; one entry `added` or `removed` when only one layer has it. */
  readonly details: readonly Detail[];
  /** Both, when the contents of a file differ. */
  readonly content?: readonly [before: TocEntry, after: TocEntry];
}

/** Compares two layers, table against table: contents by their digests. In byte order of the paths. */
export function compareLayers(before: Toc, after: Toc): readonly EntryDifference[] {
  const old = new Map(before.entries.map((entry) => [keyOf(entry), entry]));
  const fresh = new Map(after.entries.map((entry) => [keyOf(entry), entry]));
  const differences: EntryDifference[] = [];
  for (const key of [...new Set([...old.keys(), ...fresh.keys()])].sort()) {
    const difference = compareEntries(old.get(key), fresh.get(key));
    if (difference !== null) differences.push(difference);
  }
  return differences;
}

/** A folder and the mark that hides what lies below it have one path. */
function keyOf({ path, type }: TocEntry): string {
  return type === 'opaque' ? `${path}\0opaque` : path;
}

function compareEntries(before: TocEntry | undefined, after: TocEntry | undefined): EntryDifference | null {
  if (before === undefined || after === undefined) {
    const entry = (before ?? after) as TocEntry;
    const verb = before === undefined ? 'only in the new layer' : 'missing from the new layer';
    return { path: entry.path, details: [{ what: `${shownType(entry)} ${verb}` }] };
  }
  const { path } = after;
  if (before.type !== after.type)
    return { path, details: [{ what: 'type', before: shownType(before), after: shownType(after) }] };
  const details = [...attributeDetails(before, after)];
  const differs = before.digest !== after.digest;
  if (details.length === 0 && !differs) return null;
  return { path, details, ...(differs ? { content: [before, after] as const } : {}) };
}

function shownType({ type }: TocEntry): string {
  const names: Partial<Record<TocEntry['type'], string>> = {
    dir: 'folder',
    symlink: 'symbolic link',
    hardlink: 'hard link',
    whiteout: 'removal',
    opaque: 'removal of everything below',
    char: 'character device',
    block: 'block device',
  };
  return names[type] ?? type;
}

function* attributeDetails(a: TocEntry, b: TocEntry): Generator<Detail> {
  if (a.mode !== b.mode) yield { what: 'mode', before: octal(a.mode), after: octal(b.mode) };
  if (a.uid !== b.uid || a.gid !== b.gid)
    yield { what: 'owner', before: `${a.uid}:${a.gid}`, after: `${b.uid}:${b.gid}` };
  if (a.link !== b.link) yield { what: 'link target', before: a.link ?? '', after: b.link ?? '' };
  if (a.mtime !== b.mtime)
    yield { what: 'time', before: timeText(a.mtime), after: timeText(b.mtime), cause: 'clock' };
  if (a.size !== b.size) yield { what: 'size', before: `${a.size}`, after: `${b.size}` };
  if (`${a.rdev}` !== `${b.rdev}`) yield { what: 'device', before: `${a.rdev}`, after: `${b.rdev}` };
  const names = new Set([...Object.keys(a.xattrs ?? {}), ...Object.keys(b.xattrs ?? {})]);
  for (const name of [...names].sort())
    if (a.xattrs?.[name] !== b.xattrs?.[name]) yield { what: `extended attribute ${name}` };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** Seconds since 1970 for people. */
export function timeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds}` : date.toISOString().replace('.000Z', 'Z');
}
