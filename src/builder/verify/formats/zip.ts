import { timeText } from '../compare-layers.ts';
import type { Member, MemberFormat } from './format.ts';
import { inflateRaw } from './gzip.ts';

const endSignature = 0x06054b50;
const centralSignature = 0x02014b50;
const localSignature = 0x04034b50;

export function isZip(bytes: Buffer): boolean {
  return (
    bytes.length >= 22 && (bytes.readUInt32LE(0) === localSignature || bytes.readUInt32LE(0) === endSignature)
  );
}

/** The members that the central directory lists (APPNOTE.TXT 4.3.12); null when it is broken or a zip64. */
export function zipMembers(bytes: Buffer): readonly Member[] | null {
  const end = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (end < 0 || end + 22 > bytes.length) return null;
  const members: Member[] = [];
  let at = bytes.readUInt32LE(end + 16);
  for (let left = bytes.readUInt16LE(end + 10); left > 0; left--) {
    if (at + 46 > bytes.length || bytes.readUInt32LE(at) !== centralSignature) return null;
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
      bytes.readUInt16LE(at + field),
    ) as [number, number, number];
    const extraAt = at + 46 + nameLength;
    members.push({
      name: bytes.toString('latin1', at + 46, extraAt),
      attributes: {
        'modification time': dosTime(bytes.readUInt16LE(at + 14), bytes.readUInt16LE(at + 12)),
        mode: (bytes.readUInt32LE(at + 38) >>> 16).toString(8),
        ...extraFields(bytes.subarray(extraAt, extraAt + extraLength)),
        ...localTimes(bytes, bytes.readUInt32LE(at + 42)),
      },
      content: contentAt(bytes, at),
    });
    at = extraAt + extraLength + commentLength;
  }
  return members;
}

function contentAt(bytes: Buffer, at: number): () => Buffer | null {
  const method = bytes.readUInt16LE(at + 10);
  const size = bytes.readUInt32LE(at + 20);
  const header = bytes.readUInt32LE(at + 42);
  return () => {
    if (header + 30 > bytes.length) return null;
    const start = header + 30 + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28);
    const data = bytes.subarray(start, start + size);
    if (method === 0) return data;
    return method === 8 ? inflateRaw(data) : null;
  };
}

/** Access and creation times stand in the local header only. */
function localTimes(bytes: Buffer, header: number): Record<string, string> {
  if (header + 30 > bytes.length) return {};
  const start = header + 30 + bytes.readUInt16LE(header + 26);
  const extra = bytes.subarray(start, start + bytes.readUInt16LE(header + 28));
  const fields = Object.entries(extraFields(extra));
  return Object.fromEntries(fields.map(([name, value]) => [`${name} in the local header`, value]));
}

/** Info-ZIP's extra fields: exact times (UT), user and group (ux). */
function extraFields(extra: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let at = 0; at + 4 <= extra.length; ) {
    const [id, length] = [extra.readUInt16LE(at), extra.readUInt16LE(at + 2)];
    const data = extra.subarray(at + 4, at + 4 + length);
    if (id === 0x5455 && data.length >= 5) {
      const times: string[] = [];
      for (let i = 1; i + 4 <= data.length; i += 4) times.push(timeText(data.readUInt32LE(i)));
      fields['exact times'] = times.join(', ');
    } else if (id === 0x7875) fields.owner = data.toString('hex');
    at += 4 + length;
  }
  return fields;
}

/** MS-DOS date and time, which has no time zone and counts in steps of two seconds. */
function dosTime(date: number, time: number): string {
  const pad = (value: number): string => String(value).padStart(2, '0');
  const day = `${1980 + (date >> 9)}-${pad((date >> 5) & 15)}-${pad(date & 31)}`;
  return `${day} ${pad(time >> 11)}:${pad((time >> 5) & 63)}:${pad((time & 31) * 2)}`;
}

const constantTimes = 'find FOLDER -exec touch -hd @$SOURCE_DATE_EPOCH {} +';

/** How people's zips are made the same each time. */
export const zipFormat: MemberFormat = {
  format: 'zip',
  attribute: (name) => {
    if (/time/.test(name))
      return {
        cause: 'clock',
        fix: `${constantTimes}, then zip -X (jar: --date=…, wheels: SOURCE_DATE_EPOCH does it)`,
      };
    return /^owner/.test(name) ? { fix: 'zip -X' } : {};
  },
  order: { cause: 'directory-order', fix: 'find FOLDER | LC_ALL=C sort | zip -X -@ ARCHIVE' },
};
