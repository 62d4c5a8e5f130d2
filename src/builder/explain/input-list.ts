import { gunzipSync, gzipSync } from 'node:zlib';
import { digestOf, hexOf } from '../../oci/index.ts';
import type { LayerEntry } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';

/**
 * One input file as it is kept for explanations: type, mode, uid, gid, time, size, then what it holds (the beginning of a digest, a link's
 * target, device numbers), extended attributes (names with the beginning of a digest of each value), the first of its names when it is
 * a hard link, and its path for people.
 */
export type InputFile = readonly [
  type: string,
  mode: string,
  uid: string,
  gid: string,
  mtime: string,
  size: string,
  content: string,
  xattrs: string,
  links: string,
  path: string,
];

/** An input file that is not as it was. */
export interface FileDifference {
  /** Latin1 view of the bytes, as all paths. */
  readonly path: ByteString;
  /** `content`, `mode`, `owner`, `type`, `link target`, `xattr NAME`, `time`, `hard link`, `device`, `added`, `removed`. */
  readonly attribute: string;
}

const fields = 10;
const pathAt = 9;
/** 128 bits: enough to say that contents differ. */
const digestDigits = 32;
const format = 'cairn-inputs-1';
/** Lists of more than this are not read back: an explanation is not worth it. */
const maxBytes = 256 << 20;

/** What an input file is made of. */
export interface InputFacts {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  /** Bytes of a file. */
  readonly size: number;
  readonly xattrs?: Readonly<Record<string, string>>;
  /** Hex digest, link target or device numbers. */
  readonly content: string;
  /** The first name of a hard link group; '' for a file that is alone. */
  readonly links: string;
  /** Where people find it: in the context, the stage, the archive. */
  readonly path: string;
}

export function inputFields(facts: InputFacts): InputFile {
  const { type, mode, uid, gid, mtime, size, xattrs = {}, content, links, path } = facts;
  const attributes = Object.entries(xattrs).map(([name, value]) => `${name}=${shortDigest(value)}`);
  const shown = type === 'file' ? content.slice(0, digestDigits) : content;
  const numbers = [mode.toString(8), String(uid), String(gid), String(mtime), String(size)] as const;
  return [type, ...numbers, shown, attributes.join('\n'), links, path];
}

/** An entry of a layer as an input file. @param shown - gives the path for people */
export function inputOfEntry(entry: LayerEntry, shown: (path: ByteString) => string): InputFile {
  const path = shown(entry.path);
  const none = { mode: 0, uid: 0, gid: 0, mtime: 0, size: 0, content: '', links: '' };
  if (entry.type === 'whiteout') return inputFields({ ...none, type: 'whiteout', path });
  if (entry.type === 'hardlink')
    return inputFields({ ...none, type: 'file', links: shown(entry.target), path });
  const size = entry.type === 'file' ? entry.size : 0;
  return inputFields({ ...entry, size, content: contentOf(entry), links: '', path });
}

function contentOf(entry: Exclude<LayerEntry, { type: 'hardlink' | 'whiteout' }>): string {
  if (entry.type === 'symlink') return entry.link;
  if (entry.type === 'char' || entry.type === 'block') return entry.rdev.join(':');
  if (entry.type !== 'file') return '';
  const bytes = entry.source.kind === 'bytes' ? entry.source.bytes : new Uint8Array();
  return hexOf(entry.digest ?? digestOf(bytes));
}

function shortDigest(value: string): string {
  return hexOf(digestOf(Buffer.from(value, 'latin1'))).slice(0, 16);
}

/** The list as the store keeps it: compressed, no field of a file holds a zero byte. */
export function encodeInputs(files: Iterable<InputFile>): Uint8Array {
  const text = [format];
  for (const file of files) text.push(...file);
  return gzipSync(Buffer.from(text.join('\0'), 'latin1'), { level: 1 });
}

/** @returns null for bytes that `encodeInputs` did not make */
export function decodeInputs(bytes: Uint8Array): readonly InputFile[] | null {
  let text: string;
  try {
    text = gunzipSync(bytes, { maxOutputLength: maxBytes }).toString('latin1');
  } catch {
    return null;
  }
  const parts = text.split('\0');
  if (parts[0] !== format || (parts.length - 1) % fields !== 0) return null;
  const files: InputFile[] = [];
  for (let at = 1; at < parts.length; at += fields)
    files.push(parts.slice(at, at + fields) as unknown as InputFile);
  return files;
}

/** What differs: changed files first, in the order of the present list, then new ones, then those that are gone. */
export function compareInputs(
  before: readonly InputFile[],
  after: readonly InputFile[],
): readonly FileDifference[] {
  const old = new Map(before.map((file) => [file[pathAt], file]));
  const present = new Set(after.map((file) => file[pathAt]));
  const changed: FileDifference[] = [];
  const added: FileDifference[] = [];
  for (const file of after) {
    const path = file[pathAt] as ByteString;
    const earlier = old.get(path);
    if (earlier === undefined) added.push({ path, attribute: 'added' });
    else {
      const attribute = differingAttribute(earlier, file);
      if (attribute !== null) changed.push({ path, attribute });
    }
  }
  const removed = before
    .filter((file) => !present.has(file[pathAt]))
    .map((file) => ({ path: file[pathAt] as ByteString, attribute: 'removed' }));
  return [...changed, ...added, ...removed];
}

function differingAttribute(before: InputFile, after: InputFile): string | null {
  const [type, mode, uid, gid, mtime, size, content, xattrs, links] = after;
  if (type !== before[0]) return 'type';
  if (links !== before[8]) return 'hard link';
  if (content !== before[6] || size !== before[5]) return contentNames[type] ?? 'content';
  if (mode !== before[1]) return 'mode';
  if (uid !== before[2] || gid !== before[3]) return 'owner';
  if (xattrs !== before[7]) return `xattr ${firstXattr(before[7], xattrs)}`;
  return mtime === before[4] ? null : 'time';
}

const contentNames: Readonly<Record<string, string>> = {
  symlink: 'link target',
  char: 'device',
  block: 'device',
};

function firstXattr(before: string, after: string): string {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  const line = fresh.find((each) => !old.includes(each)) ?? old.find((each) => !fresh.includes(each)) ?? '';
  return line.slice(0, line.lastIndexOf('='));
}
