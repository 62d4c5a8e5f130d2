import { type ByteString, fromBuffer, toBuffer } from '../../sys/index.ts';
import { ownerMark } from './owner-mark.ts';

const capability = 'security.capability';

/**
 * Whether an attribute belongs to the image (docs/layer-format.md, "Extended attributes"): file capabilities and
 * what users set. Labels (`security.selinux`), ACLs, overlay's own notes and Cairn's describe the host, or would let a
 * hostile layer steer overlayfs. PAX cannot hold `=` in a keyword.
 */
export function isImageXattr(name: string): boolean {
  if (name === capability) return true;
  if (name === ownerMark) return false;
  return name.startsWith('user.') && !name.startsWith('user.overlay.') && !/[=\0]/.test(name);
}

/**
 * The attributes of a file as a layer holds them: only the image's own, sorted, capabilities in the v2 form.
 * @returns undefined when none is left
 */
export function canonicalXattrs(
  xattrs: Iterable<readonly [name: string, value: ByteString]>,
): Readonly<Record<string, ByteString>> | undefined {
  const kept: [string, ByteString][] = [];
  for (const [name, value] of xattrs) {
    if (isImageXattr(name)) kept.push([name, name === capability ? canonicalCapability(value) : value]);
  }
  if (kept.length === 0) return undefined;
  // fromEntries defines properties, so that not even `__proto__` does anything but name an attribute.
  return Object.fromEntries(kept.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** True when both hold the same names and values; absent is the same as empty. */
export function sameXattrs(
  a: Readonly<Record<string, ByteString>> | undefined,
  b: Readonly<Record<string, ByteString>> | undefined,
): boolean {
  if (a === b) return true;
  const [left, right] = [Object.entries(a ?? {}), Object.entries(b ?? {})];
  return left.length === right.length && left.every(([name, value]) => b !== undefined && b[name] === value);
}

const revisionMask = 0xff000000;
const revision1 = 0x01000000;
const revision2 = 0x02000000;
const revision3 = 0x03000000;
const revision2Size = 20;

/**
 * struct vfs_cap_data (linux/capability.h) in revision 2: revision 3 adds the user namespace's root as the builder's
 * host numbers it, and revision 1 lacks the upper 32 capabilities. Anything else stays as it is.
 */
function canonicalCapability(value: ByteString): ByteString {
  if (value.length < 4) return value;
  const bytes = toBuffer(value);
  const magic = bytes.readUInt32LE(0);
  const revision = (magic & revisionMask) >>> 0;
  const known =
    (revision === revision1 && value.length === 12) || (revision === revision3 && value.length === 24);
  if (!known) return value;
  const result = Buffer.alloc(revision2Size);
  bytes.copy(result, 0, 0, Math.min(value.length, revision2Size));
  result.writeUInt32LE(((magic & ~revisionMask) | revision2) >>> 0, 0);
  return fromBuffer(result);
}
