import { digestOf, readTar, type TarEntry, type TarSlice } from './tar.ts';

/** What a path of the flattened image is, as far as the two sides must agree. Times are left out on purpose. */
export interface FlatFile {
  readonly type: 'file' | 'dir' | 'symlink' | 'char' | 'block' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Files: `sha256:…` of the content. */
  readonly content?: string;
  /** Symlinks. */
  readonly link?: string;
  /** Devices: `major:minor`. */
  readonly device?: string;
  /** Name to value in hex, sorted by name. */
  readonly xattrs: Readonly<Record<string, string>>;
}

interface Place {
  file: FlatFile;
  /** The layer that put this name here: whiteouts only hide what lower layers hold. */
  layer: number;
  readonly children: Map<string, Place>;
}

/** A root file system: path (relative, bytes as latin1, the root is '') to file; names of one inode share the object. */
export type FlatImage = ReadonlyMap<string, FlatFile>;

const IMPLIED: FlatFile = { type: 'dir', mode: 0o755, uid: 0, gid: 0, size: 0, xattrs: {} };

/** Applies the layers in order, base first (image-spec layer.md, "Applying Changesets"). */
export function flatten(layers: readonly TarSlice[]): FlatImage {
  const root: Place = { file: IMPLIED, layer: 0, children: new Map() };
  layers.forEach((layer, index) => {
    for (const entry of readTar(layer)) applyEntry(root, entry, index);
  });
  const flat = new Map<string, FlatFile>();
  const visit = (place: Place, path: string) => {
    flat.set(path, place.file);
    for (const [name, child] of place.children) visit(child, path === '' ? name : `${path}/${name}`);
  };
  visit(root, '');
  return flat;
}

function applyEntry(root: Place, entry: TarEntry, layer: number): void {
  const parts = components(entry.name);
  const name = parts.at(-1);
  if (name === undefined) {
    root.file = describe(entry);
    return;
  }
  const parent = folder(root, parts.slice(0, -1), layer);
  if (name === '.wh..wh..opq') {
    for (const [child, place] of parent.children)
      if (!keepFromLayer(place, layer)) parent.children.delete(child);
    return;
  }
  if (name.startsWith('.wh.')) {
    const hidden = name.slice(4);
    const place = parent.children.get(hidden);
    if (place && !keepFromLayer(place, layer)) parent.children.delete(hidden);
    return;
  }
  if (entry.type === 'hardlink') {
    const target = components(entry.link).reduce<Place | undefined>(
      (at, part) => at?.children.get(part),
      root,
    );
    if (!target) throw new Error(`hard link ${entry.name} to ${entry.link}, which is not there`);
    parent.children.set(name, { file: target.file, layer, children: new Map() });
    return;
  }
  const old = parent.children.get(name);
  if (entry.type === 'dir' && old?.file.type === 'dir') {
    old.file = describe(entry);
    old.layer = layer;
  } else parent.children.set(name, { file: describe(entry), layer, children: new Map() });
}

/** Removes what lower layers put at or below `place`. @returns whether this layer itself put something there */
function keepFromLayer(place: Place, layer: number): boolean {
  for (const [name, child] of place.children) if (!keepFromLayer(child, layer)) place.children.delete(name);
  return place.layer === layer || place.children.size > 0;
}

function folder(root: Place, parts: readonly string[], layer: number): Place {
  let at = root;
  for (const part of parts) {
    let next = at.children.get(part);
    if (next?.file.type !== 'dir') {
      next = { file: IMPLIED, layer, children: new Map() };
      at.children.set(part, next);
    }
    at = next;
  }
  return at;
}

function components(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new Error(`layer entry ${JSON.stringify(name)} leaves the root`);
  return parts;
}

function describe(entry: TarEntry): FlatFile {
  const { type, mode, uid, gid, size } = entry;
  if (type === 'hardlink') throw new Error('a hard link has no attributes of its own');
  const sorted = [...entry.xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
  const xattrs = Object.fromEntries(
    sorted.map(([key, value]) => [key, Buffer.from(value, 'latin1').toString('hex')]),
  );
  const common = { type, mode: type === 'symlink' ? 0o777 : mode, uid, gid, size, xattrs };
  if (type === 'file') return { ...common, content: digestOf(entry.content) };
  if (type === 'symlink') return { ...common, link: entry.link };
  if (type === 'char' || type === 'block') return { ...common, device: `${entry.major}:${entry.minor}` };
  return common;
}
