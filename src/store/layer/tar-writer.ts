import type { ByteString } from '../../sys/index.ts';
import { encodePaxRecord } from './pax.ts';

/** What a canonical header says; the name has its final slash when it is a directory's. */
export interface TarHeader {
  readonly name: ByteString;
  readonly flag: '0' | '1' | '2' | '3' | '4' | '5' | '6';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly size: number;
  readonly link?: ByteString;
  readonly rdev?: readonly [major: number, minor: number];
  readonly xattrs?: Readonly<Record<string, ByteString>> | undefined;
}

const blockSize = 512;
/** Two zero blocks: the whole of an empty layer. */
export const endMarkerSize = 2 * blockSize;

const maxName = 100;
const maxPrefix = 155;
const max7Digits = 0o7777777;
const max11Digits = 0o77777777777;
const paxHeaderName = '././@PaxHeader' as ByteString;

/** Zero bytes that follow content of that size up to the next block. */
export function paddingAfter(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

/**
 * The header blocks of one entry in canonical form (docs/layer-format.md): a ustar block, after a PAX header with
 * exactly the values that ustar cannot hold.
 */
export function encodeHeader(header: TarHeader): Buffer {
  const records = paxRecords(header);
  if (records === '') {
    const block = Buffer.alloc(blockSize);
    writeUstar(block, header);
    return block;
  }
  const bodySize = records.length + paddingAfter(records.length);
  const blocks = Buffer.alloc(blockSize + bodySize + blockSize);
  const pax = { name: paxHeaderName, mode: 0o644, uid: 0, gid: 0, mtime: 0, size: records.length };
  writeUstar(blocks, { ...pax, flag: 'x' });
  blocks.write(records, blockSize, 'latin1');
  writeUstar(blocks.subarray(blockSize + bodySize), header);
  return blocks;
}

function paxRecords(header: TarHeader): ByteString {
  const records: [keyword: string, value: ByteString][] = [];
  const number = (keyword: string, value: number, max: number): void => {
    if (value < 0 || value > max) records.push([keyword, String(value) as ByteString]);
  };
  number('gid', header.gid, max7Digits);
  number('mtime', header.mtime, max11Digits);
  number('size', header.size, max11Digits);
  number('uid', header.uid, max7Digits);
  if (splitName(header.name) === null) records.push(['path', header.name]);
  if (header.link !== undefined && header.link.length > maxName) records.push(['linkpath', header.link]);
  for (const [name, value] of Object.entries(header.xattrs ?? {}))
    records.push([`SCHILY.xattr.${name}`, value]);
  if (records.length === 0) return '' as ByteString;
  records.sort(([a], [b]) => (a < b ? -1 : 1));
  return records.map(([keyword, value]) => encodePaxRecord(keyword, value)).join('') as ByteString;
}

/** ustar's two name fields: whole, or cut at the last slash that leaves both parts short enough; null if none does. */
function splitName(name: ByteString): readonly [prefix: string, name: string] | null {
  if (name.length <= maxName) return ['', name];
  // A directory's own final slash is no place to cut.
  const last = name.endsWith('/') ? name.length - 2 : name.length - 1;
  const cut = name.lastIndexOf('/', Math.min(maxPrefix, last));
  if (cut <= 0 || name.length - cut - 1 > maxName) return null;
  return [name.slice(0, cut), name.slice(cut + 1)];
}

function writeUstar(
  block: Buffer,
  header: Omit<TarHeader, 'flag'> & { readonly flag: TarHeader['flag'] | 'x' },
): void {
  const [prefix, name] = splitName(header.name) ?? ['', header.name.slice(0, maxName)];
  block.write(name, 0, 'latin1');
  writeOctal(block, 100, 7, header.mode);
  writeOctal(block, 108, 7, fitting(header.uid, max7Digits));
  writeOctal(block, 116, 7, fitting(header.gid, max7Digits));
  writeOctal(block, 124, 11, fitting(header.size, max11Digits));
  writeOctal(block, 136, 11, fitting(header.mtime, max11Digits));
  block.write(header.flag, 156, 'latin1');
  if (header.link !== undefined) block.write(header.link.slice(0, maxName), 157, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  writeOctal(block, 329, 7, header.rdev?.[0] ?? 0);
  writeOctal(block, 337, 7, header.rdev?.[1] ?? 0);
  block.write(prefix, 345, 'latin1');
  let sum = 8 * 0x20;
  for (let i = 0; i < blockSize; i++) sum += block[i]!;
  writeOctal(block, 148, 6, sum);
  block[155] = 0x20;
}

/** Zero in the field of a value that stands in the PAX header. */
function fitting(value: number, max: number): number {
  return value >= 0 && value <= max ? value : 0;
}

function writeOctal(block: Buffer, at: number, digits: number, value: number): void {
  let rest = value;
  for (let i = at + digits - 1; i >= at; i--) {
    block[i] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
  if (rest !== 0) throw new Error(`${value} does not fit ${digits} octal digits`);
}
