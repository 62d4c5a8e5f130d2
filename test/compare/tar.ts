import { createHash } from 'node:crypto';
import { readSync } from 'node:fs';

// A tar reader that shares nothing with Cairn's own, so that one bug cannot hide in both. Names, link targets and
// attribute values stay bytes (as latin1 text): they need not be UTF-8.

/** A slice of an open file that holds a tar. */
export interface TarSlice {
  readonly fd: number;
  readonly offset: number;
  readonly size: number;
}

export type TarType = 'file' | 'dir' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo';

export interface TarEntry {
  /** As written, bytes as latin1. */
  readonly name: string;
  readonly type: TarType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly link: string;
  readonly major: number;
  readonly minor: number;
  /** Name to value, bytes as latin1. */
  readonly xattrs: ReadonlyMap<string, string>;
  /** Where the content lies in the open file. */
  readonly content: TarSlice;
}

const BLOCK = 512;
const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'dir',
  '6': 'fifo',
};

/** The entries of a tar in order: ustar, PAX and GNU long names, base-256 numbers. */
export function* readTar(tar: TarSlice): Generator<TarEntry> {
  let position = 0;
  let global = new Map<string, string>();
  let pax = new Map<string, string>();
  let longName: string | undefined;
  let longLink: string | undefined;
  while (position + BLOCK <= tar.size) {
    const header = readSlice({ fd: tar.fd, offset: tar.offset + position, size: BLOCK });
    if (header.every((byte) => byte === 0)) return;
    checkSum(header, position);
    const flag = String.fromCharCode(header[156]!);
    const records = new Map([...global, ...pax]);
    const size = Number(records.get('size') ?? number(header, 124, 12));
    const content = { fd: tar.fd, offset: tar.offset + position + BLOCK, size };
    position += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    if (flag === 'x') pax = paxRecords(readSlice(content));
    else if (flag === 'g') global = new Map([...global, ...paxRecords(readSlice(content))]);
    else if (flag === 'L') longName = text(readSlice(content), 0, size);
    else if (flag === 'K') longLink = text(readSlice(content), 0, size);
    else {
      const type = TYPES[flag];
      if (type === undefined)
        throw new Error(`tar entry of unknown type ${JSON.stringify(flag)} at ${position}`);
      yield {
        name: records.get('path') ?? longName ?? ustarName(header),
        type,
        mode: number(header, 100, 8) & 0o7777,
        uid: Number(records.get('uid') ?? number(header, 108, 8)),
        gid: Number(records.get('gid') ?? number(header, 116, 8)),
        size: type === 'file' ? size : 0,
        link: records.get('linkpath') ?? longLink ?? text(header, 157, 100),
        major: number(header, 329, 8),
        minor: number(header, 337, 8),
        xattrs: xattrs(records),
        content,
      };
      pax = new Map();
      longName = undefined;
      longLink = undefined;
    }
  }
}

/** All bytes of a slice; for headers and JSON. */
export function readSlice(slice: TarSlice): Buffer {
  const buffer = Buffer.alloc(slice.size);
  let done = 0;
  while (done < slice.size) {
    const count = readSync(slice.fd, buffer, done, slice.size - done, slice.offset + done);
    if (count === 0) throw new Error(`tar ends in the middle of an entry, at ${slice.offset + done}`);
    done += count;
  }
  return buffer;
}

/** Digest of a slice's bytes, `sha256:` and hex, read in pieces. */
export function digestOf(slice: TarSlice): string {
  const hash = createHash('sha256');
  const step = 1 << 20;
  for (let at = 0; at < slice.size; at += step) {
    hash.update(
      readSlice({ fd: slice.fd, offset: slice.offset + at, size: Math.min(step, slice.size - at) }),
    );
  }
  return `sha256:${hash.digest('hex')}`;
}

function checkSum(header: Buffer, position: number): void {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : header[i]!;
  if (sum !== number(header, 148, 8)) throw new Error(`tar header at ${position} has a wrong checksum`);
}

function ustarName(header: Buffer): string {
  const prefix =
    header.toString('latin1', 257, 262) === 'ustar' && header[262] === 0 ? text(header, 345, 155) : '';
  const name = text(header, 0, 100);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function text(block: Buffer, offset: number, size: number): string {
  const raw = block.toString('latin1', offset, offset + size);
  const end = raw.indexOf('\0');
  return end < 0 ? raw : raw.slice(0, end);
}

function number(block: Buffer, offset: number, size: number): number {
  if (block[offset]! & 0x80) {
    let value = block[offset]! & 0x7f;
    for (let i = 1; i < size; i++) value = value * 256 + block[offset + i]!;
    return value;
  }
  const digits = text(block, offset, size).trim();
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

// "%d %s=%s\n": the length counts the whole record in bytes.
function paxRecords(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const blank = body.indexOf(32, at);
    const length = Number(body.toString('latin1', at, blank));
    const equals = body.indexOf(61, blank);
    if (!(length > 0) || equals < 0) throw new Error('tar holds a malformed PAX record');
    records.set(
      body.toString('latin1', blank + 1, equals),
      body.toString('latin1', equals + 1, at + length - 1),
    );
    at += length;
  }
  return records;
}

function xattrs(records: ReadonlyMap<string, string>): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, value] of records) {
    if (key.startsWith('SCHILY.xattr.')) found.set(key.slice('SCHILY.xattr.'.length), value);
  }
  return found;
}
