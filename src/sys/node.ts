import { constants } from 'node:fs';
import type { ByteString } from './byte-string.ts';
import { check, cString, libc } from './libc.ts';

export type SpecialNode =
  | { readonly type: 'fifo' }
  | { readonly type: 'char' | 'block'; readonly rdev: readonly [major: number, minor: number] };

const typeBits = { fifo: constants.S_IFIFO, char: constants.S_IFCHR, block: constants.S_IFBLK };

/**
 * Creates a named pipe or a device node (devices need CAP_MKNOD, but 0:0 character devices, overlay's whiteouts,
 * do not). The umask takes its share of `mode`: change it afterwards where it must be exact.
 */
export function makeNode(path: ByteString, mode: number, node: SpecialNode): void {
  const device = node.type === 'fifo' ? 0n : encodeDevice(node.rdev);
  check(libc().mknod(cString(path), typeBits[node.type] | mode, device), 'mknod', path);
}

/** The kernel's number for a device: major 12 + 20 bits, minor 8 + 24 bits, interleaved (makedev(3)). */
export function encodeDevice([major, minor]: readonly [number, number]): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn)
  );
}

/** Splits `stat.rdev`, exact for numbers up to 2^53 (major up to 12 bits, all that Linux hands out). */
export function decodeDevice(rdev: number | bigint): readonly [major: number, minor: number] {
  const device = BigInt(rdev);
  const major = ((device >> 32n) & 0xfffff000n) | ((device >> 8n) & 0xfffn);
  const minor = ((device >> 12n) & 0xffffff00n) | (device & 0xffn);
  return [Number(major), Number(minor)];
}
