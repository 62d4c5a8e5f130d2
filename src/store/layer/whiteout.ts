import type { ByteString } from '../../sys/index.ts';

// image-spec layer.md, "Whiteouts": `.wh.` is reserved, the marker itself is never extracted.
export const whiteoutPrefix = '.wh.';
const opaqueName = '.wh..wh..opq';
// What aufs kept in its own folders (`.wh..wh.plnk`, `.wh..wh.aufs`): old layers have it, it is nobody's file.
const aufsPrefix = '.wh..wh.';

/** What the last component of a name in a layer's tar means. */
export type MarkerName =
  | { readonly kind: 'none' | 'opaque' | 'aufs' }
  | { readonly kind: 'whiteout'; readonly name: ByteString };

const none: MarkerName = { kind: 'none' };

/** Reads the marker in a base name, if it is one. */
export function readMarker(base: ByteString): MarkerName {
  if (!base.startsWith(whiteoutPrefix)) return none;
  if (base === opaqueName) return { kind: 'opaque' };
  if (base.startsWith(aufsPrefix)) return { kind: 'aufs' };
  return { kind: 'whiteout', name: base.slice(whiteoutPrefix.length) as ByteString };
}

/** True for a name that no file in a layer can have, since it would read as a marker. */
export function isReservedName(base: ByteString): boolean {
  return base.startsWith(whiteoutPrefix);
}
