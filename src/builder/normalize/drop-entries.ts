import type { LayerEntry, Tree } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';

/**
 * Whether an entry may be left out. A deletion stays: something below was there, and the command removed it. So does
 * what takes the place of another kind of thing.
 */
export function isDroppable(entry: LayerEntry, parent: Tree): boolean {
  const below = parent.get(entry.path);
  switch (entry.type) {
    case 'dir':
      return below === undefined;
    case 'file':
    case 'hardlink':
    case 'symlink':
      return below === undefined || below.type !== 'dir';
    default:
      return false;
  }
}

/**
 * The entries without those at `dropped`. A hard link group whose first name goes has its content at the next one.
 * A folder stays while something in it does.
 * @param entries - sorted, and so is the result.
 */
export function withoutEntries(
  entries: readonly LayerEntry[],
  dropped: ReadonlySet<ByteString>,
): LayerEntry[] {
  const kept = keptFolders(entries, dropped);
  /** Where the content of a group whose first name is gone is now. */
  const heirs = new Map<ByteString, ByteString>();
  const firsts = new Map<ByteString, LayerEntry>();
  const result: LayerEntry[] = [];
  for (const entry of entries) {
    const isDropped = dropped.has(entry.path) && !kept.has(entry.path);
    if (isDropped) {
      if (entry.type !== 'hardlink' && entry.type !== 'dir') firsts.set(entry.path, entry);
      continue;
    }
    if (entry.type !== 'hardlink' || !firsts.has(entry.target)) {
      result.push(entry);
      continue;
    }
    const heir = heirs.get(entry.target);
    if (heir === undefined) {
      heirs.set(entry.target, entry.path);
      result.push({ ...firsts.get(entry.target)!, path: entry.path } as LayerEntry);
    } else {
      result.push({ ...entry, target: heir });
    }
  }
  return result;
}

/** Folders with an entry somewhere below that stays. */
function keptFolders(
  entries: readonly LayerEntry[],
  dropped: ReadonlySet<ByteString>,
): ReadonlySet<ByteString> {
  const kept = new Set<ByteString>();
  for (const { path } of entries) {
    if (dropped.has(path)) continue;
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const folder = path.slice(0, end) as ByteString;
      if (kept.has(folder)) break;
      kept.add(folder);
    }
  }
  return kept;
}
