import type { ByteString } from '../../sys/index.ts';

/**
 * One PAX record, `<length> <keyword>=<value>\n`, where length counts the whole record and so its own digits.
 * Values are bytes.
 */
export function encodePaxRecord(keyword: string, value: ByteString): ByteString {
  const body = ` ${keyword}=${value}\n`;
  let length = body.length;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return `${length}${body}` as ByteString;
}

/**
 * Reads the records of a PAX header; a later record of a keyword replaces an earlier one.
 * @returns null when the bytes are not records
 */
export function decodePaxRecords(bytes: ByteString): Map<string, ByteString> | null {
  const records = new Map<string, ByteString>();
  let position = 0;
  while (position < bytes.length) {
    // Some writers pad with NULs inside the announced size.
    if (bytes.charCodeAt(position) === 0) return /^\0*$/.test(bytes.slice(position)) ? records : null;
    const space = bytes.indexOf(' ', position);
    // Eight digits exceed every header that the reader accepts.
    if (space === -1 || space - position > 8) return null;
    const digits = bytes.slice(position, space);
    const end = position + Number(digits);
    const equals = bytes.indexOf('=', space);
    const wellFormed =
      /^[0-9]+$/.test(digits) &&
      end <= bytes.length &&
      equals > space + 1 &&
      equals < end &&
      bytes[end - 1] === '\n';
    if (!wellFormed) return null;
    records.set(bytes.slice(space + 1, equals), bytes.slice(equals + 1, end - 1) as ByteString);
    position = end;
  }
  return records;
}
