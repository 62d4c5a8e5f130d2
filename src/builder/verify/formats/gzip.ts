import { gunzipSync, inflateRawSync } from 'node:zlib';
import type { Detail } from '../cause.ts';
import { timeText } from '../compare-layers.ts';
import type { Examine } from './format.ts';

const maxInflatedBytes = 64 << 20;

export function isGzip(bytes: Buffer): boolean {
  return bytes.length > 18 && bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8;
}

/** RFC 1952: the header's time and name, then what is inside. */
export function* gzipDetails(a: Buffer, b: Buffer, inner: Examine): Generator<Detail> {
  const [old, fresh] = [a.readUInt32LE(4), b.readUInt32LE(4)];
  if (old !== fresh)
    yield {
      what: 'gzip header, modification time',
      before: timeText(old),
      after: timeText(fresh),
      cause: 'clock',
      fix: 'gzip -n',
    };
  const [oldName, freshName] = [nameOf(a), nameOf(b)];
  if (oldName !== freshName)
    yield {
      what: 'gzip header, file name',
      before: oldName,
      after: freshName,
      cause: 'temporary-name',
      fix: 'gzip -n',
    };
  const [left, right] = [inflated(() => gunzipSync(a, limits)), inflated(() => gunzipSync(b, limits))];
  if (left === null || right === null) return;
  if (!left.equals(right)) yield* inner(left, right, 'inside the gzip');
  else if (old === fresh && oldName === freshName)
    yield {
      what: 'gzip: the same data compressed in another way',
      cause: 'cpu-count',
      fix: 'compress with "gzip -n" (one thread), or give a fixed number of threads',
    };
}

/** The optional file name (FNAME, after FEXTRA). */
function nameOf(bytes: Buffer): string {
  const flags = bytes[3] ?? 0;
  if ((flags & 8) === 0) return '';
  const start = (flags & 4) === 0 ? 10 : 12 + bytes.readUInt16LE(10);
  return bytes.toString('latin1', start, Math.max(start, bytes.indexOf(0, start)));
}

const limits = { maxOutputLength: maxInflatedBytes };

/** Raw deflate data, as zip holds it; null when it is broken or very large. */
export function inflateRaw(bytes: Buffer): Buffer | null {
  return inflated(() => inflateRawSync(bytes, limits));
}

function inflated(work: () => Buffer): Buffer | null {
  try {
    return work();
  } catch {
    return null;
  }
}
