import { canonicalName, type Descriptor, type Digest, familiarName, type Reference } from '../oci/index.ts';

/** image-spec annotations.md: the name within a layout; what `oci:ROOT:NAME` of skopeo and `umoci ls` go by. */
export const refNameKey = 'org.opencontainers.image.ref.name';
/** The full name, as containerd and `docker load` read it. */
export const imageNameKey = 'io.containerd.image.name';

/**
 * Entries of index.json come in three kinds: a tag has both annotations (familiar and canonical name), a
 * `name@digest` under which the image was pulled or pushed has only the full name, an image without a name has none.
 */
export function nameEntry(target: Descriptor, reference: Reference): Descriptor {
  const bare = unnameEntry(target);
  if (reference.digest !== undefined) {
    const { tag: _, ...byDigest } = reference;
    return { ...bare, annotations: { ...bare.annotations, [imageNameKey]: canonicalName(byDigest) } };
  }
  return {
    ...bare,
    annotations: {
      ...bare.annotations,
      [imageNameKey]: canonicalName(reference),
      [refNameKey]: familiarName(reference),
    },
  };
}

/** The entry without its name. */
function unnameEntry(entry: Descriptor): Descriptor {
  const { annotations = {}, ...rest } = entry;
  const kept = Object.entries(annotations).filter(([key]) => key !== refNameKey && key !== imageNameKey);
  return kept.length === 0 ? rest : { ...rest, annotations: Object.fromEntries(kept) };
}

/** The familiar name with tag, or null. */
export function tagOf(entry: Descriptor): string | null {
  return entry.annotations?.[refNameKey] ?? null;
}

/** The canonical `name@digest`, or null for tags and entries without a name. */
export function repoDigestOf(entry: Descriptor): string | null {
  const name = entry.annotations?.[imageNameKey];
  return tagOf(entry) === null && name?.includes('@') ? name : null;
}

/** True for an entry that a tag or a `name@digest` names. */
export function isNamed(entry: Descriptor): boolean {
  return tagOf(entry) !== null || repoDigestOf(entry) !== null;
}

/** True when `entry` is what `reference` (with a tag or a digest) names. */
export function isNamedBy(entry: Descriptor, reference: Reference): boolean {
  if (reference.digest === undefined) return tagOf(entry) === familiarName(reference);
  const { tag: _, ...byDigest } = reference;
  return repoDigestOf(entry) === canonicalName(byDigest);
}

/** Where entries stand in the file: by name, then by digest, so that equal contents give equal files. */
export function compareEntries(a: Descriptor, b: Descriptor): number {
  const left = entryKey(a);
  const right = entryKey(b);
  return left < right ? -1 : left > right ? 1 : 0;
}

function entryKey(entry: Descriptor): string {
  return `${tagOf(entry) ?? '~'}\n${repoDigestOf(entry) ?? ''}\n${entry.digest}`;
}

/** The entries after `references` have come to name `target`; whatever loses its last name stays without one. */
export function withNames(
  entries: readonly Descriptor[],
  target: Descriptor,
  references: readonly Reference[],
): readonly Descriptor[] {
  let result = entries;
  for (const reference of references) {
    const moved = result.filter((entry) => isNamedBy(entry, reference) && entry.digest !== target.digest);
    result = result.filter((entry) => !isNamedBy(entry, reference));
    result = [...result, nameEntry(target, reference)];
    for (const entry of moved) if (!hasEntry(result, entry.digest)) result = [...result, unnameEntry(entry)];
  }
  if (references.length === 0)
    return hasEntry(result, target.digest) ? result : [...result, unnameEntry(target)];
  return result.filter((entry) => entry.digest !== target.digest || isNamed(entry));
}

/** The entries after `reference` has been taken away. */
export function withoutName(
  entries: readonly Descriptor[],
  reference: Reference,
  keepUntagged: boolean,
): readonly Descriptor[] {
  const removed = entries.filter((entry) => isNamedBy(entry, reference));
  let result = entries.filter((entry) => !isNamedBy(entry, reference));
  for (const entry of keepUntagged ? removed : [])
    if (!hasEntry(result, entry.digest)) result = [...result, unnameEntry(entry)];
  return result;
}

function hasEntry(entries: readonly Descriptor[], digest: Digest): boolean {
  return entries.some((entry) => entry.digest === digest);
}
