import { closeSync, openSync, readSync } from 'node:fs';
import type { TocEntry } from '../../store/contracts.ts';

/** Content to look at piece by piece, wherever it is. */
export interface FileBytes {
  readonly size: number;
  /** Up to `length` bytes from `offset` on; fewer at the end. */
  read(offset: number, length: number): Buffer;
}

/** Bytes in memory. */
export function bytesOf(buffer: Buffer): FileBytes {
  return { size: buffer.length, read: (offset, length) => buffer.subarray(offset, offset + length) };
}

/** Hands the content of a file of a layer to `work`; its tar is open meanwhile. */
export function withFileBytes<T>(
  tar: string,
  { offset = 0, size }: TocEntry,
  work: (bytes: FileBytes) => T,
): T {
  const fd = openSync(tar, 'r');
  try {
    return work({
      size,
      read: (from, length) => {
        const wanted = Math.max(0, Math.min(length, size - from));
        const buffer = Buffer.alloc(wanted);
        const got = wanted === 0 ? 0 : readSync(fd, buffer, 0, wanted, offset + from);
        return buffer.subarray(0, got);
      },
    });
  } finally {
    closeSync(fd);
  }
}

const pieceBytes = 1 << 20;

/** The first place where two contents differ, and whether they do so in few places only; null when they are equal. */
export function firstDifference(a: FileBytes, b: FileBytes): number | null {
  const shorter = Math.min(a.size, b.size);
  for (let at = 0; at < shorter; at += pieceBytes) {
    const left = a.read(at, Math.min(pieceBytes, shorter - at));
    const right = b.read(at, Math.min(pieceBytes, shorter - at));
    if (left.equals(right)) continue;
    for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return at + i;
  }
  return a.size === b.size ? null : shorter;
}

/** Formats are taken apart up to this size; beyond, the place of the first difference has to do. */
const maxParsedBytes = 32 << 20;

/** All of a content that is small enough to be taken apart, else null. */
export function wholeOf(bytes: FileBytes): Buffer | null {
  return bytes.size > maxParsedBytes ? null : bytes.read(0, bytes.size);
}
