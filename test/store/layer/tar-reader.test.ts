import { describe, expect, test } from 'vitest';
import { type TarMember, TarReader } from '../../../src/store/layer/index.ts';
import { paxRecord, type RawMember, rawMember, rawTar } from '../../support/raw-tar.ts';

type Seen = TarMember & { readonly content: string };

function read(tar: Buffer, chunkSize = tar.length): Seen[] {
  const seen: Seen[] = [];
  let current: { member: TarMember; content: Buffer[] } | undefined;
  const reader = new TarReader({
    member: (member) => {
      current = { member, content: [] };
    },
    content: (chunk) => current!.content.push(Buffer.from(chunk)),
    end: () => {
      seen.push({ ...current!.member, content: Buffer.concat(current!.content).toString('latin1') });
      current = undefined;
    },
  });
  for (let at = 0; at < tar.length; at += chunkSize) reader.write(tar.subarray(at, at + chunkSize));
  reader.end();
  return seen;
}

const one = (...members: RawMember[]): Seen => {
  const seen = read(rawTar(members));
  expect(seen.length).toBe(1);
  return seen[0]!;
};
const base256 = (value: bigint, length: number): string => {
  const bytes = Buffer.alloc(length);
  for (let i = length - 1, rest = BigInt.asUintN(length * 8, value); i >= 0; i--, rest >>= 8n)
    bytes[i] = Number(rest & 0xffn);
  bytes[0] = bytes[0]! | 0x80;
  return bytes.toString('latin1');
};

describe('names', () => {
  test.each([
    ['a/b', 'a/b'],
    ['./a/b', 'a/b'],
    ['/a/b', 'a/b'],
    ['a//b/', 'a/b'],
    ['../../a/b', 'a/b'],
    ['a/../../../etc/passwd', 'etc/passwd'],
    ['x/../a/./b', 'a/b'],
    ['./', ''],
    ['..', ''],
    ['...', '...'],
    ['a/..b', 'a/..b'],
  ])('%s stays inside the root as %s', (name, wanted) => {
    expect(one({ name, flag: '5' }).path).toBe(wanted);
  });

  test('the ustar prefix counts, in ustar only', () => {
    expect(one({ name: 'b', prefix: 'a' }).path).toBe('a/b');
    expect(one({ name: 'b', prefix: 'a', magic: 'ustar  \0' }).path).toBe('b');
    expect(one({ name: 'b', prefix: 'a', magic: '' }).path).toBe('b');
  });

  test('a name of 100 bytes needs no NUL', () => {
    expect(one({ name: 'n'.repeat(100) }).path).toBe('n'.repeat(100));
  });

  test('GNU long names and links replace the fields', () => {
    const long = `${'d/'.repeat(200)}f`;
    const member = one(
      { name: '././@LongLink', flag: 'K', body: `${long}\0` },
      { name: '././@LongLink', flag: 'L', body: `${long}2\0` },
      { name: 'short', flag: '2', link: 'short' },
    );
    expect([member.path, member.link]).toEqual([`${long}2`, long]);
  });

  test('PAX values are bytes and belong to the next member only', () => {
    const body =
      paxRecord('path', 'p\xff\x80/é') + paxRecord('linkpath', '\xfe') + paxRecord('comment', 'a=b\nc');
    const seen = read(
      rawTar([{ name: 'x', flag: 'x', body }, { name: 'short', flag: '2', link: 'l' }, { name: 'next' }]),
    );
    expect(seen.map(({ path, link }) => [path, link])).toEqual([
      ['p\xff\x80/é', '\xfe'],
      ['next', undefined],
    ]);
  });

  test('global records hold until the next ones, and a member overrides them', () => {
    const seen = read(
      rawTar([
        { name: 'g', flag: 'g', body: paxRecord('uid', '7') + paxRecord('mtime', '9.5') },
        { name: 'a' },
        { name: 'x', flag: 'x', body: paxRecord('uid', '8') },
        { name: 'b' },
        { name: 'g', flag: 'g', body: paxRecord('uid', '1') },
        { name: 'c' },
      ]),
    );
    expect(seen.map(({ path, uid, mtime }) => [path, uid, mtime])).toEqual([
      ['a', 7, 9],
      ['b', 8, 9],
      ['c', 1, 9],
    ]);
  });

  test('an empty PAX value leaves the header field as it is', () => {
    expect(one({ name: 'x', flag: 'x', body: paxRecord('path', '') }, { name: 'real' }).path).toBe('real');
  });
});

describe('types', () => {
  test.each([
    ['0', 'a', 'file'],
    ['\0', 'a', 'file'],
    ['7', 'a', 'file'],
    ['0', 'a/', 'dir'],
    ['5', 'a', 'dir'],
    ['1', 'a', 'hardlink'],
    ['2', 'a', 'symlink'],
    ['3', 'a', 'char'],
    ['4', 'a', 'block'],
    ['6', 'a', 'fifo'],
  ])('flag %j on %j is a %s', (flag, name, type) => {
    expect(one({ name, flag, link: 'x' })).toMatchObject({ path: 'a', type, size: 0 });
  });

  test('labels and listings are passed over, with their content', () => {
    const seen = read(
      rawTar([
        { name: 'volume', flag: 'V' },
        { name: 'old', flag: 'N', body: 'x'.repeat(700) },
        { name: 'a' },
      ]),
    );
    expect(seen.map(({ path }) => path)).toEqual(['a']);
  });

  test('a size on what has no content is ignored, as by Go and GNU tar', () => {
    const seen = read(
      rawTar([
        { name: 'd', flag: '5', size: '00000001000\0' },
        { name: 'l', flag: '1', link: 'x', size: '00000000005\0' },
        { name: 'a' },
      ]),
    );
    expect(seen.map(({ path }) => path)).toEqual(['d', 'l', 'a']);
  });

  test('the target of a hard link stays inside the root, the text of a symbolic link is kept', () => {
    expect(one({ name: 'a', flag: '1', link: '../../etc/shadow' }).link).toBe('etc/shadow');
    expect(one({ name: 'a', flag: '2', link: '../../etc/shadow' }).link).toBe('../../etc/shadow');
  });
});

describe('numbers', () => {
  test.each([
    ['octal with blanks', { uid: '   17 \0' }, { uid: 15 }],
    ['octal without an end', { uid: '00000017' }, { uid: 15 }],
    ['garbage after NUL', { uid: '17\0zzzzz' }, { uid: 15 }],
    ['an empty field', { uid: '\0\0\0\0\0\0\0\0' }, { uid: 0 }],
    ['base-256', { uid: base256(4_000_000n, 8) }, { uid: 4_000_000 }],
    ['a negative base-256 time', { mtime: base256(-5n, 12) }, { mtime: -5 }],
    ['a mode with its type', { mode: '0104755\0' }, { mode: 0o4755 }],
    ['a device', { flag: '3', major: '0000001\0', minor: '0000003\0' }, { rdev: [1, 3] }],
  ] as [string, Partial<RawMember>, Partial<TarMember>][])('%s', (_, given, wanted) => {
    expect(one({ name: 'a', ...given })).toMatchObject(wanted);
  });

  test.each([
    ['1.9', 1],
    ['-1.5', -2],
    ['-1.0', -1],
    ['-0', 0],
    ['-0.25', -1],
    ['1700000000.123456789', 1_700_000_000],
    ['5.', 5],
  ])('time %s rounds down to %i', (text, wanted) => {
    expect(one({ name: 'x', flag: 'x', body: paxRecord('mtime', text) }, { name: 'a' }).mtime).toBe(wanted);
  });

  test('a PAX size rules where the content ends', () => {
    const pax = { name: 'x', flag: 'x', body: paxRecord('size', '5') };
    const seen = read(rawTar([pax, { name: 'a', body: 'hello', size: '00000000000\0' }, { name: 'b' }]));
    expect(seen.map(({ path, content }) => [path, content])).toEqual([
      ['a', 'hello'],
      ['b', ''],
    ]);
  });

  test('old checksums over signed bytes are accepted', () => {
    const header = rawMember({ name: '\xff\xff' });
    let sum = 8 * 32;
    for (const [at, byte] of header.entries())
      if (at < 148 || at > 155) sum += byte < 128 ? byte : byte - 256;
    expect(one({ name: '\xff\xff', checksum: `${sum.toString(8).padStart(6, '0')}\0 ` }).path).toBe(
      '\xff\xff',
    );
  });
});

describe('attributes', () => {
  test("are bytes, and only the image's own are kept", () => {
    const body = [
      paxRecord('SCHILY.xattr.user.x', 'a\0\xff\n=b'),
      paxRecord('SCHILY.xattr.user.empty', ''),
      paxRecord('SCHILY.xattr.security.selinux', 'label'),
      paxRecord('SCHILY.xattr.trusted.overlay.redirect', '/etc'),
      paxRecord('SCHILY.xattr.user.overlay.opaque', 'y'),
      paxRecord('SCHILY.xattr.system.posix_acl_access', 'acl'),
      paxRecord('SCHILY.xattr.user.__proto__', 'p'),
      paxRecord('SCHILY.xattr.security.capability', '\x01\0\0\x02\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'),
    ].join('');
    const { xattrs } = one({ name: 'x', flag: 'x', body }, { name: 'a' });
    expect(Object.entries(xattrs!)).toEqual([
      ['security.capability', '\x01\0\0\x02\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'],
      ['user.__proto__', 'p'],
      ['user.empty', ''],
      ['user.x', 'a\0\xff\n=b'],
    ]);
  });
});

describe('ends', () => {
  test('a tar without end marker, with half of it, or with anything after it is read', () => {
    const member = rawMember({ name: 'a', body: 'x' });
    for (const end of [
      [],
      [Buffer.alloc(512)],
      [Buffer.alloc(1024), Buffer.from('anything at all')],
      [Buffer.alloc(10240)],
    ]) {
      expect(read(Buffer.concat([member, ...end])).length).toBe(1);
    }
    expect(read(Buffer.alloc(0))).toEqual([]);
  });

  test.each([1, 7, 511, 512, 513, 1000])('chunks of %i bytes make no difference', (size) => {
    const tar = rawTar([
      { name: 'x', flag: 'x', body: paxRecord('path', 'long/'.repeat(200)) },
      { name: 'a', flag: '5' },
      { name: 'b', body: 'y'.repeat(5000) },
      { name: 'c' },
    ]);
    expect(read(tar, size)).toEqual(read(tar));
  });
});

describe('hostile archives are refused', () => {
  const x = (body: string): RawMember => ({ name: 'x', flag: 'x', body });
  const cases: [string, Buffer][] = [
    ['random bytes', Buffer.alloc(1024, 'garbage!')],
    ['a gzip stream', Buffer.concat([Buffer.from([0x1f, 0x8b, 8]), Buffer.alloc(600, 1)])],
    ['a wrong checksum', rawTar([{ name: 'a', checksum: '000000\0 ' }])],
    ['an end inside a header', rawTar([{ name: 'a' }]).subarray(0, 300)],
    ['an end inside content', rawTar([{ name: 'a', body: 'x'.repeat(2000) }]).subarray(0, 1500)],
    ['an end inside padding', rawTar([{ name: 'a', body: 'x' }]).subarray(0, 600)],
    ['an end after a PAX header', rawMember(x(paxRecord('path', 'a')))],
    [
      'an end marker after a PAX header',
      Buffer.concat([rawMember(x(paxRecord('path', 'a'))), Buffer.alloc(1024)]),
    ],
    ['entries after one zero block', Buffer.concat([Buffer.alloc(512), rawMember({ name: 'a' })])],
    ['a PAX header of 2 MiB', rawTar([x(paxRecord('comment', 'c'.repeat(2 * 1024 * 1024))), { name: 'a' }])],
    [
      'a PAX header that claims 8 GiB',
      rawTar([{ name: 'x', flag: 'x', size: '77777777777\0' }, { name: 'a' }]),
    ],
    ['a PAX record longer than the header', rawTar([x('99 path=a\n'), { name: 'a' }])],
    ['a PAX record without line end', rawTar([x('10 path=abc'), { name: 'a' }])],
    ['a PAX record without keyword', rawTar([x('5 =a\n'), { name: 'a' }])],
    ['a PAX record without length', rawTar([x('path=abc\n'), { name: 'a' }])],
    ['a PAX record of length zero', rawTar([x('0 path=abc\n'), { name: 'a' }])],
    ['a PAX length with a huge number', rawTar([x('99999999999 path=abc\n'), { name: 'a' }])],
    ['a path with NUL', rawTar([x(paxRecord('path', 'a\0b')), { name: 'a' }])],
    ['a path of 5,000 bytes', rawTar([x(paxRecord('path', 'a/'.repeat(2500))), { name: 'a' }])],
    [
      'a link of 5,000 bytes',
      rawTar([x(paxRecord('linkpath', 'a/'.repeat(2500))), { name: 'a', flag: '2' }]),
    ],
    ['a symbolic link to nothing', rawTar([{ name: 'a', flag: '2' }])],
    ['a size beyond 2^53', rawTar([x(paxRecord('size', '99999999999999999')), { name: 'a' }])],
    ['a negative size', rawTar([{ name: 'a', size: base256(-1n, 12) }])],
    ['a base-256 size beyond 2^53', rawTar([{ name: 'a', size: base256(1n << 80n, 12) }])],
    ['a uid that Linux lacks', rawTar([x(paxRecord('uid', '4294967295')), { name: 'a' }])],
    ['a negative uid', rawTar([x(paxRecord('uid', '-1')), { name: 'a' }])],
    ['a uid with a fraction', rawTar([x(paxRecord('uid', '1.5')), { name: 'a' }])],
    ['a time that is no number', rawTar([x(paxRecord('mtime', '1e9')), { name: 'a' }])],
    ['a field that is not octal', rawTar([{ name: 'a', uid: '00000x9\0' }])],
    ['an unknown type', rawTar([{ name: 'a', flag: 'Z' }])],
    ['a GNU sparse file', rawTar([{ name: 'a', flag: 'S' }])],
    ['a PAX sparse file', rawTar([x(paxRecord('GNU.sparse.major', '1')), { name: 'a' }])],
    ['a multi-volume part', rawTar([{ name: 'a', flag: 'M' }])],
  ];
  test.each(cases)('%s', (_, tar) => {
    expect(() => read(tar)).toThrow(expect.objectContaining({ code: 'ARCHIVE_INVALID' }));
    expect(() => read(tar, 100)).toThrow(expect.objectContaining({ code: 'ARCHIVE_INVALID' }));
  });

  test('the message says which file and what to do about sparse ones', () => {
    const tar = rawTar([
      x(paxRecord('GNU.sparse.major', '1') + paxRecord('path', 'disk.img')),
      { name: 'a' },
    ]);
    expect(() => read(tar)).toThrow(
      expect.objectContaining({
        message: expect.stringContaining('"disk.img"'),
        help: expect.stringContaining('--sparse'),
      }),
    );
  });
});
