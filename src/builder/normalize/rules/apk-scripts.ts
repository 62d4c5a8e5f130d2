import type { LayerFile, LayerView, NormalizeRule, Rewrite } from '../contracts.ts';

/** The archive of install scripts that apk keeps, with the time of installation in each header. */
export const apkScriptsRule: NormalizeRule = {
  name: 'apk-scripts',
  tool: 'apk',
  paths: ['lib/apk/db/scripts.tar', 'usr/lib/apk/db/scripts.tar'],
  action: { kind: 'rewrite', rewrite },
  reason: 'times of members, which apk does not use: later ones become the epoch',
};

/** Larger archives are left as they are. */
const maxBytes = 16 * 1024 * 1024;
const block = 512;

function rewrite(file: LayerFile, layer: LayerView): Rewrite | null {
  if (!Number.isFinite(layer.epoch)) return null;
  const bytes = layer.read(file, maxBytes);
  if (bytes === null || bytes.length % block !== 0) return null;
  let isChanged = false;
  for (let at = 0; at < bytes.length && bytes[at] !== 0; ) {
    const header = bytes.subarray(at, at + block);
    const [size, mtime] = [octal(header, 124, 12), octal(header, 136, 12)];
    // Not a plain tar: nothing that apk writes.
    if (size === null || mtime === null || octal(header, 148, 8) !== checksum(header)) return null;
    if (mtime > layer.epoch) {
      header.write(`${layer.epoch.toString(8).padStart(11, '0')}\0`, 136, 'latin1');
      header.write(`${checksum(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      isChanged = true;
    }
    at += block + Math.ceil(size / block) * block;
  }
  return isChanged ? { kind: 'content', bytes } : null;
}

function octal(header: Buffer, at: number, length: number): number | null {
  const text = header
    .toString('latin1', at, at + length)
    .replace(/\0.*$/s, '')
    .trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : null;
}

/** Sum of the header's bytes, those of the checksum itself counted as blanks. */
function checksum(header: Buffer): number {
  return header.reduce((sum, byte, index) => sum + (index >= 148 && index < 156 ? 0x20 : byte), 0);
}
