import { createHash } from 'node:crypto';
import type { LayerFile, LayerView, NormalizeRule, Rewrite } from '../contracts.ts';

/** The store of certificates that Debian's ca-certificates-java makes for Java, with the time at which each was added. */
export const javaCacertsRule: NormalizeRule = {
  name: 'java-cacerts',
  tool: 'ca-certificates-java',
  paths: ['etc/ssl/certs/java/cacerts'],
  action: { kind: 'rewrite', rewrite },
  reason: 'when each certificate was added, which nothing reads: later ones become the epoch',
};

const maxBytes = 16 * 1024 * 1024;
const magic = 0xfeedfeed;
const certificateEntry = 2;
/** Java's fixed salt for the checksum of a key store (JKS), after the password that everybody knows. */
const salted = Buffer.concat([Buffer.from('changeit', 'utf16le').swap16(), Buffer.from('Mighty Aphrodite')]);
const checksumBytes = 20;

function rewrite(file: LayerFile, layer: LayerView): Rewrite | null {
  if (!Number.isFinite(layer.epoch)) return null;
  const bytes = layer.read(file, maxBytes);
  if (bytes === null || bytes.length < 12 + checksumBytes || bytes.readUInt32BE(0) !== magic) return null;
  const end = bytes.length - checksumBytes;
  if (!checksumOf(bytes, end).equals(bytes.subarray(end))) return null;
  try {
    if (!clampDates(bytes, end, BigInt(layer.epoch) * 1000n)) return null;
  } catch (error) {
    // A length that leads out of the file: not what that tool writes.
    if (error instanceof RangeError) return null;
    throw error;
  }
  checksumOf(bytes, end).copy(bytes, end);
  return { kind: 'content', bytes };
}

function checksumOf(bytes: Buffer, end: number): Buffer {
  return createHash('sha1').update(salted).update(bytes.subarray(0, end)).digest();
}

/** @returns whether anything was changed; false for what holds more than certificates */
function clampDates(bytes: Buffer, end: number, latestMs: bigint): boolean {
  const count = bytes.readUInt32BE(8);
  let isChanged = false;
  let at = 12;
  for (let i = 0; i < count; i++) {
    if (bytes.readUInt32BE(at) !== certificateEntry) return false;
    at += 4;
    at += 2 + bytes.readUInt16BE(at);
    if (bytes.readBigUInt64BE(at) > latestMs) {
      bytes.writeBigUInt64BE(latestMs, at);
      isChanged = true;
    }
    at += 8;
    at += 2 + bytes.readUInt16BE(at);
    at += 4 + bytes.readUInt32BE(at);
  }
  return isChanged && at === end;
}
