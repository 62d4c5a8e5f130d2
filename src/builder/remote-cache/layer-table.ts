import { gunzipSync } from 'node:zlib';
import type { DiffId } from '../../oci/index.ts';
import { decodeToc, encodeToc, type Toc } from '../../store/index.ts';
import { blockCompressor } from '../../sys/index.ts';

const blockBytes = 1 << 20;
/** The largest table that is read: some two million paths. */
const maxTableBytes = 256 << 20;
/** As it comes. */
export const maxPackedBytes = 64 << 20;

/** A table of contents for a cache: the same bytes on every machine (gzip members of 1 MiB each, as layers have). */
export async function packTable(toc: Toc): Promise<Buffer> {
  const compress = await blockCompressor('gzip');
  const text = Buffer.from(encodeToc(toc));
  const members: Uint8Array[] = [];
  for (let at = 0; at < text.length; at += blockBytes)
    members.push(compress(text.subarray(at, at + blockBytes)));
  return Buffer.concat(members);
}

/** Reads a table that someone else has packed. @returns null for one that cannot be one of the layer */
export function unpackTable(bytes: Uint8Array, diffId: DiffId): Toc | null {
  let text: string;
  try {
    text = gunzipSync(bytes, { maxOutputLength: maxTableBytes }).toString('utf8');
  } catch {
    return null;
  }
  const toc = decodeToc(text);
  return toc?.diffId === diffId && toc.entries.every(({ path }) => isInside(path)) ? toc : null;
}

/** Relative, without empty, `.` and `..` parts; the root itself is empty. */
function isInside(path: string): boolean {
  return path === '' || path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
