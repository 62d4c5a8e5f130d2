import type { Cause } from '../cause.ts';
import { timeText } from '../compare-layers.ts';
import type { Member, MemberFormat } from './format.ts';

const block = 512;

export function isTar(bytes: Buffer): boolean {
  return bytes.length >= block && bytes.toString('latin1', 257, 262) === 'ustar';
}

/** The members of a tar that some tool wrote, with what the headers and PAX records say; null when it is broken. */
export function tarMembers(bytes: Buffer): readonly Member[] | null {
  const members: Member[] = [];
  let records: Record<string, string> = {};
  let longName: string | null = null;
  for (let at = 0; at + block <= bytes.length; ) {
    const header = bytes.subarray(at, at + block);
    if (header[0] === 0) break;
    const size = octal(header, 124, 12);
    if (Number.isNaN(size) || at + block + size > bytes.length) return null;
    const data = bytes.subarray(at + block, at + block + size);
    const type = header.toString('latin1', 156, 157);
    const name = nameOf(header);
    at += block + Math.ceil(size / block) * block;
    if (type === 'x' || type === 'g') records = { ...records, ...paxRecords(data), 'PAX header name': name };
    else if (type === 'L') longName = text(data, 0, data.length);
    else {
      members.push({
        name: records.path ?? longName ?? name,
        attributes: attributesOf(header, type, records),
        content: () => data,
      });
      records = {};
      longName = null;
    }
  }
  return members;
}

function attributesOf(header: Buffer, type: string, records: Record<string, string>) {
  const { path: _, 'PAX header name': paxName, ...pax } = records;
  return {
    type,
    mode: octal(header, 100, 8).toString(8),
    owner: `${octal(header, 108, 8)}:${octal(header, 116, 8)}`,
    'owner name': `${text(header, 265, 297)}:${text(header, 297, 329)}`,
    'modification time': timeText(octal(header, 136, 12)),
    link: text(header, 157, 257),
    ...(paxName === undefined ? {} : { 'PAX header name': paxName }),
    ...Object.fromEntries(Object.entries(pax).map(([key, value]) => [`PAX record ${key}`, value])),
  };
}

function nameOf(header: Buffer): string {
  const prefix = text(header, 345, 500);
  const name = text(header, 0, 100);
  return prefix === '' || header.toString('latin1', 257, 263) !== 'ustar\0' ? name : `${prefix}/${name}`;
}

function paxRecords(data: Buffer): Record<string, string> {
  const records: Record<string, string> = {};
  for (let at = 0; at < data.length; ) {
    const blank = data.indexOf(0x20, at);
    const length = Number(data.toString('latin1', at, blank));
    if (blank < 0 || !(length > 0)) break;
    const record = data.toString('latin1', blank + 1, at + length - 1);
    records[record.slice(0, record.indexOf('='))] = record.slice(record.indexOf('=') + 1);
    at += length;
  }
  return records;
}

function text(bytes: Buffer, from: number, to: number): string {
  const end = bytes.subarray(from, to).indexOf(0);
  return bytes.toString('latin1', from, end < 0 ? to : from + end);
}

function octal(header: Buffer, at: number, length: number): number {
  if (((header[at] ?? 0) & 0x80) !== 0) return Number(header.readBigUInt64BE(at + length - 8));
  const digits = header
    .toString('latin1', at, at + length)
    .replace(/[\0 ]+$/, '')
    .trim();
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

const sorted = 'tar --sort=name';
const constantTime = 'tar --mtime=@$SOURCE_DATE_EPOCH';

const attributeCauses: readonly (readonly [name: RegExp, cause: Cause, fix: string])[] = [
  [/^(?:modification time|PAX record mtime)$/, 'clock', constantTime],
  [/^PAX record (?:a|c)time$/, 'clock', 'tar --format=ustar, or --pax-option=delete=atime,delete=ctime'],
  [/^PAX header name$/, 'process-ids', 'tar --format=gnu, or --pax-option=exthdr.name=%d/PaxHeaders/%f'],
  [/^mode$/, 'umask', 'tar --mode=go=rX,u+rw,a-s'],
];

/** How people's tars are made the same each time. */
export const tarFormat: MemberFormat = {
  format: 'tar',
  attribute: (name) => {
    const [, cause, fix] = attributeCauses.find(([pattern]) => pattern.test(name)) ?? [];
    if (cause !== undefined && fix !== undefined) return { cause, fix };
    return /^owner/.test(name) ? { fix: 'tar --owner=0 --group=0 --numeric-owner' } : {};
  },
  order: { cause: 'directory-order', fix: sorted },
};
