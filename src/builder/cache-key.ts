import { createHash } from 'node:crypto';
import { type Digest, fromHex } from '../oci/index.ts';

/**
 * Version of what goes into keys and of the layer format. A change of either starts a new generation of records;
 * old ones are never misread.
 */
export const cacheFormat = 'cairn-cache-1';

/** What a key is made of: every value is encoded with its type and length, so no two values share an encoding. */
export type KeyValue =
  | string
  | number
  | boolean
  | null
  | readonly KeyValue[]
  | { readonly [name: string]: KeyValue | undefined };

/**
 * The digest of a typed, length-prefixed encoding of `value`. Objects are encoded in byte order of their names;
 * an undefined field is the same as an absent one. Strings count as UTF-16 code units, exactly.
 */
export function keyOf(value: KeyValue): Digest {
  const parts: string[] = [];
  encode(value, parts);
  return fromHex(createHash('sha256').update(parts.join(''), 'utf16le').digest('hex'));
}

function encode(value: KeyValue, out: string[]): void {
  if (typeof value === 'string') out.push(`s${value.length}:`, value);
  else if (typeof value === 'number') out.push(`n${value};`);
  else if (value === null || typeof value === 'boolean') out.push(value === null ? 'z' : value ? 't' : 'f');
  else if (isList(value)) {
    out.push(`l${value.length}:`);
    for (const item of value) encode(item, out);
  } else {
    const names = Object.keys(value).filter((name) => value[name] !== undefined);
    out.push(`o${names.length}:`);
    for (const name of names.sort()) {
      encode(name, out);
      encode(value[name] as KeyValue, out);
    }
  }
}

function isList(value: KeyValue): value is readonly KeyValue[] {
  return Array.isArray(value);
}
