import { timeText } from '../compare-layers.ts';
import type { Member, MemberFormat } from './format.ts';

const magic = '!<arch>\n';

export function isAr(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, magic.length) === magic;
}

/** The members of a static library or a Debian package; null when it is broken. */
export function arMembers(bytes: Buffer): readonly Member[] | null {
  const members: Member[] = [];
  for (let at = magic.length; at + 60 <= bytes.length; ) {
    const field = (from: number, to: number): string => bytes.toString('latin1', at + from, at + to).trim();
    const size = Number(field(48, 58));
    if (Number.isNaN(size) || at + 60 + size > bytes.length) return null;
    const data = bytes.subarray(at + 60, at + 60 + size);
    members.push({
      name: field(0, 16),
      attributes: {
        'modification time': timeText(Number(field(16, 28))),
        owner: `${field(28, 34)}:${field(34, 40)}`,
        mode: field(40, 48),
      },
      content: () => data,
    });
    at += 60 + size + (size % 2);
  }
  return members;
}

/** How people's libraries are made the same each time. */
export const arFormat: MemberFormat = {
  format: 'ar',
  attribute: (name) => (name === 'modification time' ? { cause: 'clock', fix: 'ar rcD' } : { fix: 'ar rcD' }),
  order: {
    cause: 'directory-order',
    fix: 'give the objects in a sorted order: $(sort …), $(sort $(wildcard *.o))',
  },
};
