/** A tar member put together by hand, right or wrong. All text is latin1. */
export interface RawMember {
  readonly name: string;
  readonly flag?: string;
  readonly body?: string | Buffer;
  readonly link?: string;
  readonly mode?: string;
  readonly uid?: string;
  readonly size?: string;
  readonly mtime?: string;
  readonly magic?: string;
  readonly prefix?: string;
  readonly checksum?: string;
  readonly major?: string;
  readonly minor?: string;
}

/** One member's header and body, padded to whole blocks. */
export function rawMember(member: RawMember): Buffer {
  const given = member.body ?? '';
  const body = typeof given === 'string' ? Buffer.from(given, 'latin1') : given;
  const header = Buffer.alloc(512);
  const put = (at: number, text: string): void => {
    header.write(text, at, 'latin1');
  };
  put(0, member.name);
  put(100, member.mode ?? '0000644\0');
  put(108, member.uid ?? '0000000\0');
  put(116, '0000000\0');
  put(124, member.size ?? `${body.length.toString(8).padStart(11, '0')}\0`);
  put(136, member.mtime ?? '00000000000\0');
  put(148, '        ');
  put(156, member.flag ?? '0');
  put(157, member.link ?? '');
  put(257, member.magic ?? 'ustar\x0000');
  put(329, member.major ?? '0000000\0');
  put(337, member.minor ?? '0000000\0');
  put(345, member.prefix ?? '');
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(148, member.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `);
  return Buffer.concat([header, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

/** A PAX record with its length. */
export function paxRecord(keyword: string, value: string): string {
  const rest = ` ${keyword}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
  return `${length}${rest}`;
}

/** A whole tar with its end marker. */
export function rawTar(members: readonly RawMember[]): Buffer {
  return Buffer.concat([...members.map(rawMember), Buffer.alloc(1024)]);
}
