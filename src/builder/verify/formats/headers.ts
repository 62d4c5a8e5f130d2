import type { Detail } from '../cause.ts';
import { timeText } from '../compare-layers.ts';

/** A format whose header tells what differs; the rest of the file is looked at as bytes. */
export interface HeaderFormat {
  readonly matches: (bytes: Buffer, path: string) => boolean;
  /** @returns null when the difference is elsewhere */
  readonly explain: (a: Buffer, b: Buffer, at: number) => Detail | null;
}

/** PEP 552: flags, then the source's time and size, or its hash. */
const pyc: HeaderFormat = {
  matches: (bytes, path) => path.endsWith('.pyc') && bytes.length > 16 && bytes.readUInt16LE(2) === 0x0a0d,
  explain: (a, b, at) => {
    if (at >= 8 && at < 12 && a.readUInt32LE(4) === 0)
      return {
        what: '.pyc header, time of the source',
        before: timeText(a.readUInt32LE(8)),
        after: timeText(b.readUInt32LE(8)),
        cause: 'clock',
        fix: 'PYTHONDONTWRITEBYTECODE=1, or python -m compileall --invalidation-mode unchecked-hash',
      };
    if (at < 16) return { what: `.pyc header, byte ${at}` };
    return { what: `.pyc code, byte ${at}`, cause: 'hash-order', fix: 'PYTHONHASHSEED=0' };
  },
};

/** sqlite.org/fileformat2.html, "The Database Header". */
const sqlite: HeaderFormat = {
  matches: (bytes) => bytes.toString('latin1', 0, 16) === 'SQLite format 3\0' && bytes.length >= 100,
  explain: (a, _b, at) => {
    const fix =
      'write the database in one transaction from sorted input, without date() and random(); then VACUUM';
    if (at >= 24 && at < 28) return { what: 'SQLite header, change counter', fix };
    if (at >= 92 && at < 100) return { what: 'SQLite header, version of the last writer', fix };
    if (at < 100) return { what: `SQLite header, byte ${at}`, fix };
    const size = a.readUInt16BE(16);
    return { what: `SQLite page ${Math.floor(at / (size === 1 ? 65536 : size)) + 1}, byte ${at}`, fix };
  },
};

/** gitformat-index(5): each entry begins with the times, device and inode of its file. */
const gitIndex: HeaderFormat = {
  matches: (bytes) => bytes.toString('latin1', 0, 4) === 'DIRC' && bytes.length > 32,
  explain: (_a, _b, at) => ({
    what: `git index, what git remembers of files (byte ${at})`,
    cause: 'clock',
    fix: 'rm -rf .git, or ADD the repository instead of cloning it',
  }),
};

/** The section of an ELF file that a byte lies in; its build ID has a section of its own. */
const elf: HeaderFormat = {
  matches: (bytes) =>
    bytes.length > 64 && bytes.readUInt32BE(0) === 0x7f454c46 && bytes[4] === 2 && bytes[5] === 1,
  explain: (a, b, at) => {
    const section = sectionAt(a, at);
    if (section === null) return null;
    if (section !== '.note.gnu.build-id') return { what: `ELF section ${section}, byte ${at}` };
    const later = differenceAfter(a, b, section);
    const where = later === null ? '' : `, which follows from ${later}`;
    return {
      what: `ELF build ID${where}`,
      fix: 'fix what else differs in the program, or link with -Wl,--build-id=none',
    };
  },
};

interface Section {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

function sectionsOf(bytes: Buffer): readonly Section[] {
  const table = Number(bytes.readBigUInt64LE(40));
  const [entrySize, count, namesAt] = [58, 60, 62].map((at) => bytes.readUInt16LE(at)) as [
    number,
    number,
    number,
  ];
  if (entrySize < 64 || table + count * entrySize > bytes.length || namesAt >= count) return [];
  const field = (index: number, at: number): number =>
    Number(bytes.readBigUInt64LE(table + index * entrySize + at));
  const names = field(namesAt, 24);
  return Array.from({ length: count }, (_, index) => {
    const start = names + bytes.readUInt32LE(table + index * entrySize);
    const type = bytes.readUInt32LE(table + index * entrySize + 4);
    const name = bytes.toString('latin1', start, Math.max(start, bytes.indexOf(0, start)));
    // A section without bytes in the file (.bss).
    return { name, offset: field(index, 24), size: type === 8 ? 0 : field(index, 32) };
  });
}

function sectionAt(bytes: Buffer, at: number): string | null {
  const found = sectionsOf(bytes).find(({ offset, size }) => at >= offset && at < offset + size);
  return found === undefined || found.name === '' ? null : found.name;
}

function differenceAfter(a: Buffer, b: Buffer, ownName: string): string | null {
  for (const { name, offset, size } of sectionsOf(a))
    if (
      name !== '' &&
      name !== ownName &&
      !a.subarray(offset, offset + size).equals(b.subarray(offset, offset + size))
    )
      return name;
  return null;
}

/** W3C PNG, "Chunk layout". */
const png: HeaderFormat = {
  matches: (bytes) => bytes.length > 8 && bytes.readUInt32BE(0) === 0x89504e47,
  explain: (a, _b, at) => {
    for (let chunk = 8; chunk + 8 <= a.length; ) {
      const end = chunk + 12 + a.readUInt32BE(chunk);
      const name = a.toString('latin1', chunk + 4, chunk + 8);
      if (at < end && /^t(?:IME|EXt)$|^[iz]TXt$/.test(name))
        return {
          what: `PNG chunk ${name}`,
          cause: 'clock',
          fix: 'write the image without metadata (ImageMagick: -strip, -define png:exclude-chunk=date,time)',
        };
      if (at < end) return { what: `PNG chunk ${name}, byte ${at}` };
      chunk = end;
    }
    return null;
  },
};

export const headerFormats: readonly HeaderFormat[] = [pyc, sqlite, gitIndex, elf, png];
