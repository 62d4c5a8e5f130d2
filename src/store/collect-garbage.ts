import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import {
  type Descriptor,
  type Digest,
  decodeIndex,
  decodeManifest,
  fromHex,
  isDigest,
} from '../oci/index.ts';
import { listIfExists, listReadable } from './durable-file.ts';
import { tryLockFile } from './file-lock.ts';
import { isIndexType, isManifestType } from './image-document.ts';
import { subjectOf } from './referrers.ts';
import { moveAway, removeTree } from './remove-tree.ts';
import { readStepHead, sweepInputs, sweepPlaces } from './step-cache.ts';
import { isSystemError, withStoreErrors } from './store-error.ts';
import type { StoreParts, WithParts } from './store-parts.ts';
import { blobPath, rootfsName } from './store-paths.ts';

/** What a sweep took away. */
export interface GarbageReport {
  /** Blobs removed, in byte order, with their sizes. */
  readonly blobs: readonly { readonly digest: Digest; readonly sizeBytes: number }[];
  /** Sum of the sizes of blobs; derived data (tables of contents, unpacked layers) comes on top and is not counted. */
  readonly reclaimedBytes: number;
  /** Leases of dead processes that were cleared, with their tmp folders. */
  readonly deadLeases: number;
  /** What could not be removed (files of other users in a rootless store), as absolute paths. */
  readonly left: readonly string[];
}

/**
 * Removes every blob that nothing needs: not an image in the index, not a cache record, not a process at work; then
 * derived data without its blob, and what dead processes left in tmp/. Safe beside any number of other processes,
 * and when killed: the next one goes on.
 * @throws {CairnError} STORE_DAMAGED when an index, manifest or record that says what is needed cannot be read:
 *   nothing is removed then
 */
export function collectGarbage({ parts }: WithParts): GarbageReport {
  const { paths, session } = parts;
  if (!fs.existsSync(paths.format)) return { blobs: [], reclaimedBytes: 0, deadLeases: 0, left: [] };
  return withStoreErrors(paths.root, () => {
    const trash = session.temporary();
    fs.mkdirSync(trash, { mode: 0o700 });
    const swept = session.exclusive(() => sweep(parts, trash));
    // Removing an unpacked layer takes seconds; out of the way under the lock, removed without it.
    const left = listIfExists(trash)
      .map((name) => join(trash, name))
      .filter((path) => !removeTree(path));
    return { ...swept, left };
  });
}

/** A sweep, for callers that hold the exclusive gc lock. Trees are moved to `trash`, which the caller empties. */
export function sweep(parts: StoreParts, trash: string): Omit<GarbageReport, 'left'> {
  const { paths } = parts;
  const leases = clearDeadLeases(parts, trash);
  const needed = markNeeded(parts, leases.digests);
  const blobs: { digest: Digest; sizeBytes: number }[] = [];
  for (const name of listIfExists(paths.blobs)) {
    const digest = fromHex(name);
    if (!isDigest(digest) || needed.has(digest)) continue;
    const path = join(paths.blobs, name);
    const sizeBytes = fs.lstatSync(path).size;
    fs.rmSync(path, { force: true });
    blobs.push({ digest, sizeBytes });
  }
  sweepDerived(parts, trash);
  const reclaimedBytes = blobs.reduce((sum, blob) => sum + blob.sizeBytes, 0);
  return { blobs, reclaimedBytes, deadLeases: leases.dead };
}

/** All that index, cache records and leases need, directly or through manifests. */
function markNeeded(parts: StoreParts, leased: Iterable<Digest>): ReadonlySet<Digest> {
  const needed = new Set<Digest>(leased);
  const referrers = new Map<Descriptor, Digest>();
  for (const entry of parts.index.read()) {
    const subject = subjectOf(parts, entry);
    if (subject === null) markDescriptor(parts, entry, needed);
    else referrers.set(entry, subject.digest);
  }
  dropLostReferrers(parts, markReferrers(parts, referrers, needed));
  for (const name of listIfExists(parts.paths.steps)) {
    const path = join(parts.paths.steps, name);
    const head = readStepHead(path);
    // A record without its layer, or that a power cut emptied, is of no use to anyone.
    if (head !== null && parts.blobs.has(head.layer)) needed.add(head.layer);
    else fs.rmSync(path, { force: true });
  }
  return needed;
}

/** A referrer is needed while its subject is, which may be a referrer itself. @returns the entries that are not */
function markReferrers(
  parts: StoreParts,
  referrers: ReadonlyMap<Descriptor, Digest>,
  needed: Set<Digest>,
): ReadonlySet<Digest> {
  const waiting = new Map(referrers);
  for (let found = true; found; ) {
    found = false;
    for (const [entry, subject] of waiting) {
      if (!needed.has(subject)) continue;
      markDescriptor(parts, entry, needed);
      waiting.delete(entry);
      found = true;
    }
  }
  // One that a process at work leases stays: its subject may be about to be named.
  return new Set([...waiting.keys()].map((entry) => entry.digest).filter((digest) => !needed.has(digest)));
}

function dropLostReferrers(parts: StoreParts, lost: ReadonlySet<Digest>): void {
  if (lost.size === 0) return;
  parts.index.updateLocked((entries) => entries.filter((entry) => !lost.has(entry.digest)));
}

function markDescriptor(parts: StoreParts, descriptor: Descriptor, needed: Set<Digest>): void {
  if (
    needed.has(descriptor.digest) &&
    !isManifestType(descriptor.mediaType) &&
    !isIndexType(descriptor.mediaType)
  )
    return;
  needed.add(descriptor.digest);
  if (!parts.blobs.has(descriptor.digest)) return;
  for (const child of childrenOf(parts, descriptor)) markDescriptor(parts, child, needed);
}

function childrenOf(parts: StoreParts, descriptor: Descriptor): readonly Descriptor[] {
  const { mediaType, digest } = descriptor;
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) return [];
  try {
    const text = parts.blobs.readText(digest);
    if (isIndexType(mediaType)) return decodeIndex(text, `index ${digest}`).manifests;
    const manifest = decodeManifest(text, `manifest ${digest}`);
    return [manifest.config, ...manifest.layers];
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    throw new CairnError('STORE_DAMAGED', {
      message: `cannot tell which blobs are needed: ${error.message}`,
      help: 'run "cairn fsck --repair", then collect garbage again',
      cause: error,
    });
  }
}

/** Reads what living processes lease; moves the tmp folders of dead ones to `trash` and drops their leases. */
function clearDeadLeases(parts: StoreParts, trash: string): { digests: ReadonlySet<Digest>; dead: number } {
  const { paths, session } = parts;
  const digests = new Set<Digest>();
  const alive = new Set<string>();
  let dead = 0;
  for (const name of listIfExists(paths.leases)) {
    const path = join(paths.leases, name);
    if (name === session.name || !isDeadLease(path)) {
      alive.add(name);
      for (const line of readLease(path)) digests.add(line);
      continue;
    }
    dead += 1;
    moveAway(join(paths.tmp, name), trash, `tmp-${name}`);
    fs.rmSync(path, { force: true });
  }
  for (const name of listIfExists(paths.tmp))
    if (!alive.has(name)) moveAway(join(paths.tmp, name), trash, `tmp-${name}`);
  return { digests, dead };
}

/** What living processes need, this one included. Reads only; leases that this user may not read count for nothing. */
export function livingLeases({ paths, session }: StoreParts): ReadonlySet<Digest> {
  const digests = new Set<Digest>();
  for (const name of listReadable(paths.leases)) {
    const path = join(paths.leases, name);
    try {
      if (name !== session.name && isDeadLease(path)) continue;
      for (const digest of readLease(path)) digests.add(digest);
    } catch (error) {
      if (!isSystemError(error, 'EACCES', 'EROFS')) throw error;
    }
  }
  return digests;
}

/** A lease is locked from its creation (under the shared gc lock) to the death of its owner. */
export function isDeadLease(path: string): boolean {
  let fd: number | null;
  try {
    fd = tryLockFile(path);
  } catch (error) {
    // Its owner closed it in this instant: as good as gone, and nothing is left to clear.
    if (isSystemError(error, 'ENOENT')) return true;
    throw error;
  }
  if (fd === null) return false;
  fs.closeSync(fd);
  return true;
}

function readLease(path: string): readonly Digest[] {
  try {
    return fs.readFileSync(path, 'latin1').split('\n').filter(isDigest);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Tables of contents and unpacked layers whose blob is gone, and lists of cache keys that name nothing. */
function sweepDerived(parts: StoreParts, trash: string): void {
  const { paths } = parts;
  const layers = new Set(listIfExists(paths.blobs));
  const unpacked = new Set([...layers].map((hex) => rootfsName(fromHex(hex))));
  for (const name of listIfExists(paths.toc))
    if (!layers.has(name.slice(0, 64))) fs.rmSync(join(paths.toc, name), { force: true, recursive: true });
  for (const name of listIfExists(paths.rootfs))
    if (!unpacked.has(name.slice(0, 24))) moveAway(join(paths.rootfs, name), trash, `rootfs-${name}`);
  sweepPlaces(paths);
  sweepInputs(paths);
}

/** Size of a blob, or 0 when it is gone. */
export function blobBytes(parts: StoreParts, digest: Digest): number {
  return fs.lstatSync(blobPath(parts.paths, digest), { throwIfNoEntry: false })?.size ?? 0;
}
