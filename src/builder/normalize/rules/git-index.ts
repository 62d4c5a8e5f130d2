import { createHash } from 'node:crypto';
import type { LayerFile, LayerView, NormalizeRule, Rewrite } from '../contracts.ts';

/** What git remembers of the files of a work tree, to see quickly which changed (gitformat-index(5)). */
export const gitIndexRule: NormalizeRule = {
  name: 'git-index',
  tool: 'git',
  paths: ['**/.git/index', '**/.git/modules/*/index'],
  action: { kind: 'rewrite', rewrite },
  reason:
    'times and inode numbers of files, which are others in every container anyway: git looks at the contents and writes them anew',
};

const maxBytes = 64 * 1024 * 1024;
/** ctime, mtime, device and inode; mode, owner and size stay. */
const statBytes = 24;
const [sha1Bytes, sha256Bytes] = [20, 32];

function rewrite(file: LayerFile, layer: LayerView): Rewrite | null {
  if (!Number.isFinite(layer.epoch)) return null;
  const bytes = layer.read(file, maxBytes);
  if (bytes === null || bytes.length < 12 + sha1Bytes || bytes.toString('latin1', 0, 4) !== 'DIRC')
    return null;
  for (const [algorithm, size] of [
    ['sha1', sha1Bytes],
    ['sha256', sha256Bytes],
  ] as const) {
    const end = bytes.length - size;
    const sum = () => createHash(algorithm).update(bytes.subarray(0, end)).digest();
    if (end < 12 || !sum().equals(bytes.subarray(end))) continue;
    if (!clearStats(bytes.subarray(0, end), size)) return null;
    sum().copy(bytes, end);
    return { kind: 'content', bytes };
  }
  return null;
}

/** @returns false when nothing was to be done, or the index has parts that cannot be cleared */
function clearStats(index: Buffer, nameBytes: number): boolean {
  const version = index.readUInt32BE(4);
  const count = index.readUInt32BE(8);
  if (version < 2 || version > 4) return false;
  const starts: number[] = [];
  let at = 12;
  for (let i = 0; i < count; i++) {
    starts.push(at);
    const flagsAt = at + 40 + nameBytes;
    if (flagsAt + 2 > index.length) return false;
    const isExtended = (index.readUInt16BE(flagsAt) & 0x4000) !== 0;
    let path = flagsAt + (isExtended ? 4 : 2);
    // Version 4 says first how much of the path before it to drop, in bytes with a top bit but for the last.
    if (version === 4) while (((index[path++] ?? 0) & 0x80) !== 0);
    const end = index.indexOf(0, path);
    if (end < 0) return false;
    at = version === 4 ? end + 1 : at + ((end - at + 8) & ~7);
  }
  // The untracked cache and the file system monitor keep such numbers as well.
  if (['UNTR', 'FSMN'].some((name) => index.includes(name, at, 'latin1'))) return false;
  const cleared = Buffer.alloc(statBytes);
  const used = starts.filter((start) => !index.subarray(start, start + statBytes).equals(cleared));
  for (const start of used) cleared.copy(index, start);
  return used.length > 0;
}
