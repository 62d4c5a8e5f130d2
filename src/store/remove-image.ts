import * as fs from 'node:fs';
import { CairnError } from '../errors/index.ts';
import {
  type ChainId,
  chainIdOf,
  type DiffId,
  type Digest,
  familiarName,
  hexOf,
  type ImageId,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.ts';
import { sweep } from './collect-garbage.ts';
import type { ImageRecord } from './contracts.ts';
import { listIfExists } from './durable-file.ts';
import { isNamedBy, repoDigestOf, tagOf, withoutName } from './index-entry.ts';
import { removeTree } from './remove-tree.ts';
import { withStoreErrors } from './store-error.ts';
import type { StoreParts, WithParts } from './store-parts.ts';

/** One line of what `rmi` and `image prune` print, in the order in which things happened. */
export type RemovedItem =
  | { readonly kind: 'untagged'; readonly name: string }
  /** An image ID, or the chainID of a layer that went with it. */
  | { readonly kind: 'deleted'; readonly digest: ImageId | ChainId };

export interface RemovalReport {
  readonly items: readonly RemovedItem[];
  readonly reclaimedBytes: number;
}

export interface RemoveImageOptions {
  /** Removes all names of an image that is given by ID and has several. */
  readonly force?: boolean;
}

/**
 * `docker rmi`: takes one name away, or with the last one (or by ID) the image, and then whatever nothing else needs.
 * An image's layers are listed as deleted only when their blobs really went: not while another image or the build
 * cache holds them.
 * @throws {CairnError} IMAGE_NOT_FOUND, REFERENCE_AMBIGUOUS
 * @throws {CairnError} IMAGE_IN_USE for an ID with several names without `force`
 */
export function removeImage(
  { parts }: WithParts,
  nameOrId: string,
  options: RemoveImageOptions = {},
): RemovalReport {
  const record = parts.images.get(nameOrId);
  const names = namesToRemove(record, nameOrId, options.force ?? false);
  return removeNames(parts, [{ record, names }]);
}

/** Names to take from an image; the image goes when none is left. */
export interface NamesToRemove {
  readonly record: ImageRecord;
  readonly names: readonly Reference[];
}

/** Removes names, the images that lose their last one, and what only they needed, in one go under the gc lock. */
export function removeNames(parts: StoreParts, wanted: readonly NamesToRemove[]): RemovalReport {
  if (wanted.length === 0) return { items: [], reclaimedBytes: 0 };
  return withStoreErrors(parts.paths.root, () => {
    const trash = parts.session.temporary();
    fs.mkdirSync(trash, { mode: 0o700 });
    const report = parts.session.exclusive(() => {
      const items: RemovedItem[] = [];
      const gone: ImageRecord[] = [];
      for (const { record, names } of wanted) {
        items.push(...untag(parts, names));
        if (dropIfNameless(parts, record)) gone.push(record);
      }
      if (gone.length === 0) return { items, reclaimedBytes: 0 };
      const before = new Set(
        gone.flatMap((record) => record.config.rootfs.diff_ids.filter((id) => parts.blobs.has(id))),
      );
      const swept = sweep(parts, trash);
      const deleted = gone.flatMap((record) => deletedItems(parts, record, before));
      return { items: [...items, ...distinctItems(deleted)], reclaimedBytes: swept.reclaimedBytes };
    });
    for (const name of listIfExists(trash)) removeTree(`${trash}/${name}`);
    return report;
  });
}

/** dockerd's daemon/images/image_delete.go: what a name or an ID stands for. */
function namesToRemove(record: ImageRecord, nameOrId: string, force: boolean): readonly Reference[] {
  const all = [...record.tags, ...record.repoDigests].map(parseReference);
  if (!isIdPrefix(record.id, nameOrId))
    return namesOfReference(withDefaultTag(parseReference(nameOrId)), all);
  if (force || all.length === 0 || isSingleReference(all)) return all;
  throw new CairnError('IMAGE_IN_USE', {
    message: `conflict: unable to delete ${hexOf(record.id).slice(0, 12)} (must be forced) - image is referenced in multiple repositories`,
    notes: all.map((reference) => ({ message: familiarName(reference) })),
    help: 'remove its names one by one, or all with --force',
  });
}

/**
 * A tag takes its repository's `name@digest`s with it when it is the last tag there. A `name@digest` that was never
 * recorded, but found through the image's own digest, means the image's names in that repository.
 */
function namesOfReference(reference: Reference, all: readonly Reference[]): readonly Reference[] {
  const others = all.filter((name) => inSameRepository(name, reference));
  if (reference.digest !== undefined) {
    const recorded = others.filter((name) => name.digest === reference.digest);
    return recorded.length > 0 ? recorded : others;
  }
  const isLast = !others.some((name) => name.digest === undefined && name.tag !== reference.tag);
  return [reference, ...(isLast ? others.filter((name) => name.digest !== undefined) : [])];
}

function inSameRepository(a: Reference, b: Reference): boolean {
  return a.registry === b.registry && a.repository === b.repository;
}

/** At most one tag, and all names in one repository. */
function isSingleReference(names: readonly Reference[]): boolean {
  const [first] = names;
  const tags = names.filter((name) => name.digest === undefined);
  return first !== undefined && tags.length <= 1 && names.every((name) => inSameRepository(name, first));
}

function isIdPrefix(id: ImageId, text: string): boolean {
  return id.startsWith(text) || hexOf(id).startsWith(text);
}

function untag(parts: StoreParts, names: readonly Reference[]): readonly RemovedItem[] {
  const items: RemovedItem[] = [];
  parts.index.updateLocked((entries) => {
    let result = entries;
    for (const name of names) {
      if (!result.some((entry) => isNamedBy(entry, name))) continue;
      // Kept without a name for now: whether the image goes is decided over all of its entries.
      result = withoutName(result, name, true);
      items.push({ kind: 'untagged', name: familiarName(name) });
    }
    return result;
  });
  return items;
}

/** Removes the image's entries unless one still has a name. */
function dropIfNameless(parts: StoreParts, record: ImageRecord): boolean {
  let dropped = false;
  parts.index.updateLocked((entries) => {
    const own = new Set(entries.filter((entry) => parts.images.idOf(entry) === record.id));
    if ([...own].some((entry) => tagOf(entry) !== null || repoDigestOf(entry) !== null)) return entries;
    dropped = true;
    return own.size === 0 ? entries : entries.filter((entry) => !own.has(entry));
  });
  return dropped;
}

/** The image, then its layers from the top down, by chainID as Docker does, if their blobs went. */
function deletedItems(
  parts: StoreParts,
  record: ImageRecord,
  before: ReadonlySet<DiffId>,
): readonly RemovedItem[] {
  const items: RemovedItem[] = [{ kind: 'deleted', digest: record.id }];
  const diffIds = record.config.rootfs.diff_ids;
  for (let count = diffIds.length; count > 0; count--) {
    const top = diffIds[count - 1] as DiffId;
    const chain = chainIdOf(diffIds.slice(0, count));
    if (chain !== null && before.has(top) && !parts.blobs.has(top))
      items.push({ kind: 'deleted', digest: chain });
  }
  return items;
}

/** Layers that several removed images had in common are listed once. */
function distinctItems(items: readonly RemovedItem[]): readonly RemovedItem[] {
  const seen = new Set<Digest>();
  return items.filter((item) => {
    if (item.kind !== 'deleted') return true;
    if (seen.has(item.digest)) return false;
    seen.add(item.digest);
    return true;
  });
}
