import { CairnError } from '../../errors/index.ts';
import { type ByteString, fromBuffer, toText } from '../../sys/index.ts';
import { cleanPath } from './path-order.ts';
import { decodePaxRecords } from './pax.ts';
import { canonicalXattrs } from './xattr-policy.ts';

/** One member of a tar, with everything that PAX and GNU headers say about it. */
export interface TarMember {
  /** Path inside the root: clean, without leading or trailing slash; `..` cannot leave it. */
  readonly path: ByteString;
  readonly type: 'file' | 'dir' | 'symlink' | 'hardlink' | 'fifo' | 'char' | 'block';
  /** Permission bits, 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds, rounded down. */
  readonly mtime: number;
  /** Bytes of content; 0 for everything but files. */
  readonly size: number;
  /** Symbolic links: the text. Hard links: a path inside the root, as `path`. */
  readonly link?: ByteString;
  readonly rdev?: readonly [major: number, minor: number];
  /** Only the image's own attributes (xattr-policy.ts). */
  readonly xattrs?: Readonly<Record<string, ByteString>>;
  /** Where the content starts in the tar, in bytes. */
  readonly offset: number;
}

/** Receives a tar's members in order: `member`, then its content in chunks (valid during the call), then `end`. */
export interface TarHandler {
  member(member: TarMember): void;
  content(chunk: Uint8Array): void;
  end(): void;
}

const blockSize = 512;
// PAX and GNU long-name bodies are the only ones kept in memory. Linux allows 64 KiB for the value of an attribute.
const maxExtensionBytes = 1024 * 1024;
// PATH_MAX without its NUL.
const maxPathBytes = 4095;
const maxId = 0xffffffff - 1;

type State = 'header' | 'extension' | 'content' | 'padding' | 'second-zero' | 'done';

/**
 * Parses a tar of any of the known forms (v7, ustar, PAX, GNU; not sparse, not multi-volume) as its bytes come, in
 * constant memory. Anything unclear is an error, never a guess. Bytes after the end marker are ignored.
 * All methods throw {CairnError} ARCHIVE_INVALID.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #block = Buffer.alloc(blockSize);
  #blockFill = 0;
  #state: State = 'header';
  /** Bytes taken in so far. */
  #position = 0;
  #remaining = 0;
  #padding = 0;
  #extension: { readonly type: string; readonly bytes: Buffer; fill: number } | undefined;
  #global = new Map<string, ByteString>();
  #local = new Map<string, ByteString>();
  #inMember = false;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  write(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length) offset += this.#take(chunk, offset);
  }

  /** Says that there are no more bytes. A tar without end marker is accepted, one that ends inside a member is not. */
  end(): void {
    const clean = this.#state === 'done' || this.#state === 'second-zero';
    if (clean || (this.#state === 'header' && this.#blockFill === 0 && this.#local.size === 0)) return;
    throw this.#invalid('the archive ends in the middle of an entry');
  }

  #take(chunk: Uint8Array, offset: number): number {
    const available = chunk.length - offset;
    let taken: number;
    switch (this.#state) {
      case 'done':
        taken = available;
        break;
      case 'header':
      case 'second-zero':
        taken = this.#takeHeader(chunk, offset);
        break;
      case 'extension':
        taken = this.#takeExtension(chunk, offset);
        break;
      case 'content':
        taken = Math.min(available, this.#remaining);
        this.#remaining -= taken;
        this.#handler.content(chunk.subarray(offset, offset + taken));
        if (this.#remaining === 0) this.#endBody();
        break;
      case 'padding':
        taken = Math.min(available, this.#padding);
        this.#padding -= taken;
        if (this.#padding === 0) this.#state = 'header';
        break;
    }
    this.#position += taken;
    return taken;
  }

  #takeHeader(chunk: Uint8Array, offset: number): number {
    const taken = Math.min(blockSize - this.#blockFill, chunk.length - offset);
    this.#block.set(chunk.subarray(offset, offset + taken), this.#blockFill);
    this.#blockFill += taken;
    if (this.#blockFill < blockSize) return taken;
    this.#blockFill = 0;
    // What follows counts from the end of this block.
    this.#header(this.#position + taken);
    return taken;
  }

  #takeExtension(chunk: Uint8Array, offset: number): number {
    const extension = this.#extension!;
    const taken = Math.min(extension.bytes.length - extension.fill, chunk.length - offset);
    extension.bytes.set(chunk.subarray(offset, offset + taken), extension.fill);
    extension.fill += taken;
    if (extension.fill === extension.bytes.length) this.#endExtension();
    return taken;
  }

  #header(offset: number): void {
    const block = this.#block;
    if (isZero(block)) {
      if (this.#local.size > 0) throw this.#invalid('the archive ends after an extended header');
      this.#state = this.#state === 'second-zero' ? 'done' : 'second-zero';
      return;
    }
    if (this.#state === 'second-zero') throw this.#invalid('a block of zeros is followed by more entries');
    if (!hasChecksum(block))
      throw this.#invalid('an entry header has the wrong checksum (not a tar, or damaged)');
    const flag = String.fromCharCode(block[156]!);
    if (extensionFlags.has(flag)) this.#beginExtension(flag);
    else this.#member(flag, offset);
  }

  #beginExtension(flag: string): void {
    const size = this.#number(124, 12, 'size');
    if (size > maxExtensionBytes) {
      throw this.#invalid(`an extended header has ${size} bytes; at most ${maxExtensionBytes} are accepted`);
    }
    this.#extension = { type: flag, bytes: Buffer.alloc(size), fill: 0 };
    this.#padding = paddingAfter(size);
    this.#state = 'extension';
    if (size === 0) this.#endExtension();
  }

  #endExtension(): void {
    const { type, bytes } = this.#extension!;
    this.#extension = undefined;
    this.#state = this.#padding === 0 ? 'header' : 'padding';
    const text = fromBuffer(bytes);
    if (type === 'L' || type === 'K') {
      this.#local.set(type === 'L' ? 'path' : 'linkpath', untilNul(text));
      return;
    }
    const records = decodePaxRecords(text);
    if (records === null) throw this.#invalid('a PAX header is malformed');
    const into = type === 'g' ? this.#global : this.#local;
    for (const [keyword, value] of records) into.set(keyword, value);
    if (this.#global.size > maxGlobalRecords) throw this.#invalid('too many global PAX records');
  }

  #member(flag: string, offset: number): void {
    const records = this.#records();
    const member = this.#describe(flag, records, offset);
    this.#local.clear();
    if (member === null) {
      this.#remaining = this.#size(records);
      this.#inMember = false;
    } else {
      this.#remaining = member.size;
      this.#inMember = true;
      this.#handler.member(member);
    }
    this.#padding = paddingAfter(this.#remaining);
    this.#state = 'content';
    if (!this.#inMember && this.#remaining > 0) {
      // Nobody wants this content: it is padding like the rest.
      this.#padding += this.#remaining;
      this.#remaining = 0;
    }
    if (this.#remaining === 0) this.#endBody();
  }

  #endBody(): void {
    this.#state = this.#padding === 0 ? 'header' : 'padding';
    if (this.#inMember) this.#handler.end();
    this.#inMember = false;
  }

  #records(): ReadonlyMap<string, ByteString> {
    if (this.#global.size === 0) return this.#local;
    const records = new Map(this.#global);
    for (const [keyword, value] of this.#local) records.set(keyword, value);
    return records;
  }

  /** @returns null for a member that is no file (a volume label, an incremental dump's listing). */
  #describe(flag: string, records: ReadonlyMap<string, ByteString>, offset: number): TarMember | null {
    if (skippedFlags.has(flag)) return null;
    for (const keyword of records.keys()) {
      if (keyword.startsWith('GNU.sparse.')) throw this.#sparse(records.get('path') ?? this.#ustarName());
    }
    const name = this.#text(records, 'path') ?? this.#ustarName();
    if (flag === 'S') throw this.#sparse(name);
    const type = typeOf(flag, name);
    if (type === undefined)
      throw this.#invalid(`${shown(name)} has the unknown type ${JSON.stringify(flag)}`);
    const path = cleanPath(name);
    if (path.length > maxPathBytes)
      throw this.#invalid(`a path has ${path.length} bytes; Linux allows ${maxPathBytes}`);
    const link = type === 'symlink' || type === 'hardlink' ? this.#link(type, records) : undefined;
    const xattrs = canonicalXattrs(schilyXattrs(records));
    return {
      path,
      type,
      mode: this.#number(100, 8, 'mode') % 0o10000,
      uid: this.#id(records, 'uid', 108),
      gid: this.#id(records, 'gid', 116),
      mtime: this.#mtime(records),
      size: type === 'file' ? this.#size(records) : 0,
      offset,
      ...(link === undefined ? {} : { link }),
      ...(type === 'char' || type === 'block'
        ? { rdev: [this.#number(329, 8, 'device'), this.#number(337, 8, 'device')] as const }
        : {}),
      ...(xattrs === undefined ? {} : { xattrs }),
    };
  }

  #link(type: 'symlink' | 'hardlink', records: ReadonlyMap<string, ByteString>): ByteString {
    const link = this.#text(records, 'linkpath') ?? field(this.#block, 157, 100);
    if (link.length > maxPathBytes) throw this.#invalid('the target of a link is too long');
    if (type === 'symlink' && link === '') throw this.#invalid('a symbolic link has no target');
    return type === 'hardlink' ? cleanPath(link) : link;
  }

  #ustarName(): ByteString {
    const block = this.#block;
    const name = field(block, 0, 100);
    const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
    if (!isUstar) return name;
    // star's own variant keeps times behind a shorter prefix.
    const prefix = field(block, 345, block.toString('latin1', 508, 512) === 'tar\0' ? 131 : 155);
    return prefix === '' ? name : (`${prefix}/${name}` as ByteString);
  }

  /** A record that replaces a header field; an empty one means the field, as for every other reader. */
  #text(records: ReadonlyMap<string, ByteString>, keyword: string): ByteString | undefined {
    const value = records.get(keyword);
    if (value === undefined || value === '') return undefined;
    if (value.includes('\0')) throw this.#invalid(`the PAX record "${keyword}" contains a NUL byte`);
    return value;
  }

  #size(records: ReadonlyMap<string, ByteString>): number {
    const text = this.#text(records, 'size');
    const size = text === undefined ? this.#number(124, 12, 'size') : decimal(text);
    if (size === null)
      throw this.#invalid(`a size is not a number that fits: ${shown(text ?? ('' as ByteString))}`);
    return size;
  }

  #id(records: ReadonlyMap<string, ByteString>, keyword: 'uid' | 'gid', at: number): number {
    const text = this.#text(records, keyword);
    const id = text === undefined ? this.#number(at, 8, keyword) : decimal(text);
    if (id === null || id > maxId) throw this.#invalid(`a ${keyword} is not a number from 0 to ${maxId}`);
    return id;
  }

  #mtime(records: ReadonlyMap<string, ByteString>): number {
    const text = this.#text(records, 'mtime');
    if (text === undefined) return this.#signedNumber(136, 12, 'mtime');
    const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text);
    if (match === null) throw this.#invalid(`a time is not a number that fits: ${shown(text)}`);
    const whole = Number(match[2]);
    if (match[1] === '') return whole;
    return /[1-9]/.test(match[3] ?? '') ? -whole - 1 : whole === 0 ? 0 : -whole;
  }

  #number(at: number, length: number, what: string): number {
    const value = this.#signedNumber(at, length, what);
    if (value < 0) throw this.#invalid(`the field "${what}" is negative`);
    return value;
  }

  /** Octal text, or GNU's base-256: the first byte has its top bit set, and its next bit is the sign. */
  #signedNumber(at: number, length: number, what: string): number {
    const block = this.#block;
    const value = (block[at]! & 0x80) === 0 ? octal(block, at, length) : base256(block, at, length);
    if (value === null) throw this.#invalid(`the field "${what}" is not a number that fits`);
    return value;
  }

  #sparse(name: ByteString): CairnError {
    return new CairnError('ARCHIVE_INVALID', {
      message: `${shown(name)} is stored as a sparse file, a form that images do not have`,
      help: 'write the archive again without --sparse (-S)',
    });
  }

  #invalid(reason: string): CairnError {
    const at = this.#position - (this.#position % blockSize);
    return new CairnError('ARCHIVE_INVALID', { message: `tar: ${reason} (block at byte ${at})` });
  }
}

const extensionFlags = new Set(['x', 'X', 'g', 'L', 'K']);
// V: GNU volume label. N: very old GNU long name. A: Solaris ACL. I: inode metadata.
const skippedFlags = new Set(['V', 'N', 'A', 'I']);
const maxGlobalRecords = 10_000;

function typeOf(flag: string, name: ByteString): TarMember['type'] | undefined {
  switch (flag) {
    case '0':
    case '\0':
    case '7':
      // v7 had no type for directories: a final slash says it.
      return name.endsWith('/') ? 'dir' : 'file';
    case '1':
      return 'hardlink';
    case '2':
      return 'symlink';
    case '3':
      return 'char';
    case '4':
      return 'block';
    case '5':
      return 'dir';
    case '6':
      return 'fifo';
    default:
      return undefined;
  }
}

const schily = 'SCHILY.xattr.';

function* schilyXattrs(records: ReadonlyMap<string, ByteString>): Generator<readonly [string, ByteString]> {
  for (const [keyword, value] of records) {
    if (keyword.startsWith(schily)) yield [keyword.slice(schily.length), value];
  }
}

function field(block: Buffer, at: number, length: number): ByteString {
  return untilNul(block.toString('latin1', at, at + length) as ByteString);
}

function untilNul(text: ByteString): ByteString {
  const end = text.indexOf('\0');
  return end === -1 ? text : (text.slice(0, end) as ByteString);
}

function octal(block: Buffer, at: number, length: number): number | null {
  const text = /^[ \0]*([0-7]*)[ \0]*/.exec(block.toString('latin1', at, at + length))!;
  // Anything else than digits and filling makes the field meaningless; after a NUL there may be garbage.
  const rest = block.toString('latin1', at + text[0].length, at + length);
  if (rest !== '' && !text[0].endsWith('\0')) return null;
  return text[1] === '' ? 0 : Number.parseInt(text[1]!, 8);
}

function base256(block: Buffer, at: number, length: number): number | null {
  const negative = (block[at]! & 0x40) !== 0;
  let value = negative ? -1n : 0n;
  for (let i = 0; i < length; i++) {
    const byte = i === 0 ? (block[at]! & 0x7f) | (negative ? 0x80 : 0) : block[at + i]!;
    value = (value << 8n) | BigInt(byte);
  }
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : null;
}

function decimal(text: ByteString): number | null {
  // Some writers add a fraction to sizes and ids that they keep as floats; it must be zero.
  if (!/^[0-9]{1,16}(\.0*)?$/.test(text)) return null;
  const value = Number.parseInt(text, 10);
  return Number.isSafeInteger(value) ? value : null;
}

function isZero(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/** The sum of all bytes with the field itself as blanks; some old writers added them as signed. */
function hasChecksum(block: Buffer): boolean {
  const wanted = octal(block, 148, 8);
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let i = 0; i < blockSize; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = block[i]!;
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  return wanted === unsigned || wanted === signed;
}

function paddingAfter(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

function shown(name: ByteString): string {
  return JSON.stringify(toText(name).slice(0, 200));
}
