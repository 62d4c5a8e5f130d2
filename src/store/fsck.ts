import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError, hasCode } from '../errors/index.ts';
import {
  type Descriptor,
  type Digest,
  decodeImageConfig,
  decodeIndex,
  decodeManifest,
  fromHex,
  hexOf,
  isDigest,
  type Manifest,
  mediaType,
} from '../oci/index.ts';
import { collectGarbage, isDeadLease } from './collect-garbage.ts';
import { listIfExists, replaceFile } from './durable-file.ts';
import { isImageManifest, isIndexType, isManifestType } from './image-document.ts';
import { TocBuilder } from './layer/toc-builder.ts';
import { decodeToc, encodeToc } from './layer/toc-codec.ts';
import { removeTree } from './remove-tree.ts';
import { StatTable } from './stat-table.ts';
import { readStepHead } from './step-cache.ts';
import { isSystemError } from './store-error.ts';
import type { StoreParts, WithParts } from './store-parts.ts';
import { rootfsName, storeFolders } from './store-paths.ts';

/** What `fsck` can find: the code, whether it harms, and what it means. Codes are API. */
export const findingCodes = {
  BLOB_DAMAGED: 'damage', // the bytes of a blob do not have the digest that names it
  BLOB_MISSING: 'damage', // an image needs a blob that is not there
  CONFIG_INVALID: 'damage', // an image's config breaks its schema
  INDEX_INVALID: 'damage', // index.json cannot be read
  LAYOUT_INVALID: 'damage', // the file oci-layout is missing or wrong
  MANIFEST_INVALID: 'damage', // a manifest or list of manifests breaks its schema or contradicts its config
  SIZE_MISMATCH: 'damage', // a descriptor states another size than its blob has
  TOC_DAMAGED: 'damage', // a table of contents is not that of its layer
  RECORD_INVALID: 'leftover', // a cache record cannot be read (a power cut may cut one off)
  RECORD_WITHOUT_LAYER: 'leftover', // a cache record's layer is gone
  ROOTFS_WITHOUT_LAYER: 'leftover', // an unpacked layer whose blob is gone
  STAT_CACHE_INVALID: 'leftover', // a stat cache cannot be read
  STRAY_FILE: 'leftover', // something that no Cairn puts there
  TMP_OF_DEAD: 'leftover', // work in progress of a process that is dead
  TOC_WITHOUT_LAYER: 'leftover', // a table of contents whose blob is gone
} as const satisfies Record<string, 'damage' | 'leftover'>;

export type FindingCode = keyof typeof findingCodes;

export interface Finding {
  readonly code: FindingCode;
  /** `damage` loses or falsifies something; a `leftover` wastes space, and the next gc takes most of them. */
  readonly severity: 'damage' | 'leftover';
  readonly message: string;
  /** Absolute path of the file that is meant, or the digest or name of what is missing. */
  readonly subject: string;
  readonly isRepaired: boolean;
}

export interface FsckReport {
  /** In the order of the checks. */
  readonly findings: readonly Finding[];
  /** True when nothing is damaged (leftovers do not count), or all damage was repaired. */
  readonly isClean: boolean;
  readonly checkedBlobs: number;
  readonly checkedBytes: number;
}

export interface FsckOptions {
  /**
   * Removes what is damaged: blobs, then the images and records that needed them, then leftovers. What is removed can
   * be built, loaded or pulled again. Files that no Cairn made are only reported.
   */
  readonly repair?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (checkedBytes: number) => void;
}

/**
 * Checks a whole store: hashes every blob and compares its table of contents with it, follows every entry of the
 * index, and looks for files that should not be there. Safe beside other processes: what exists at the start
 * is leased, what comes later is not looked at.
 * @throws {CairnError} ABORTED, STORE_NOT_ACCESSIBLE
 */
export async function fsck({ parts }: WithParts, options: FsckOptions = {}): Promise<FsckReport> {
  return new StoreCheck(parts, options).run();
}

const readChunkBytes = 1 << 20;

class StoreCheck {
  readonly #parts: StoreParts;
  readonly #options: FsckOptions;
  readonly #findings: Finding[] = [];
  #checkedBlobs = 0;
  #checkedBytes = 0;

  constructor(parts: StoreParts, options: FsckOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async run(): Promise<FsckReport> {
    if (fs.existsSync(this.#parts.paths.format)) {
      const canWrite = this.#leaseAll();
      this.#checkLayout();
      await this.#checkBlobs();
      this.#checkIndex();
      this.#checkRecords();
      // The rest is private to the owner, and nothing that an image's reader depends on.
      if (canWrite) {
        this.#checkStatCaches();
        this.#checkDerived();
        this.#checkTmp();
      }
      this.#checkStrays();
      if (this.#options.repair) this.#sweepLeftovers();
    }
    return {
      findings: this.#findings,
      isClean: this.#findings.every((finding) => finding.severity === 'leftover' || finding.isRepaired),
      checkedBlobs: this.#checkedBlobs,
      checkedBytes: this.#checkedBytes,
    };
  }

  /** @returns false for a user who may only read; then a prune in another process may disturb the check */
  #leaseAll(): boolean {
    const { session, paths } = this.#parts;
    try {
      session.open();
    } catch (error) {
      if (!hasCode(error, 'STORE_NOT_ACCESSIBLE') || this.#options.repair) throw error;
      return false;
    }
    session.shared(() => session.appendLease(listIfExists(paths.blobs).map(fromHex).filter(isDigest)));
    return true;
  }

  #checkLayout(): void {
    const { layout } = this.#parts.paths;
    const content = '{"imageLayoutVersion":"1.0.0"}';
    if (fs.existsSync(layout) && isLayoutFile(fs.readFileSync(layout, 'utf8'))) return;
    this.#report('LAYOUT_INVALID', layout, 'the file oci-layout is missing or wrong', () =>
      replaceFile(layout, content, { temporary: this.#parts.session.temporary(), mode: 0o644 }),
    );
  }

  async #checkBlobs(): Promise<void> {
    const { paths } = this.#parts;
    for (const name of listIfExists(paths.blobs)) {
      const path = join(paths.blobs, name);
      const stat = fs.lstatSync(path, { throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (stat.isFile() && isDigest(fromHex(name))) await this.#checkBlob(fromHex(name), path);
      else this.#report('STRAY_FILE', path, 'this is not a blob');
    }
  }

  async #checkBlob(digest: Digest, path: string): Promise<void> {
    const tocPath = join(this.#parts.paths.toc, hexOf(digest));
    const hasToc = fs.existsSync(tocPath);
    const found = await this.#readBlob(path, hasToc);
    if (found === null) return;
    this.#checkedBlobs += 1;
    if (found.digest !== digest) {
      const message = `the bytes of this blob have the digest ${found.digest}`;
      this.#report('BLOB_DAMAGED', path, message, () => fs.rmSync(path, { force: true }));
    }
    if (!hasToc || found.toc === null) return;
    const stored = fs.existsSync(tocPath) ? fs.readFileSync(tocPath, 'utf8') : null;
    if (stored === null || (found.digest === digest && stored === found.toc)) return;
    // A table of another version is made again when needed; only one that would be believed is damage.
    if (decodeToc(stored)?.diffId === digest)
      this.#report('TOC_DAMAGED', tocPath, 'this table of contents is not that of its layer', () =>
        fs.rmSync(tocPath, { force: true }),
      );
  }

  /** One pass over a blob. @returns null when it vanished; `toc` is null when it is not a layer */
  async #readBlob(path: string, hasToc: boolean): Promise<{ digest: Digest; toc: string | null } | null> {
    const hash = createHash('sha256');
    let builder = hasToc ? new TocBuilder() : null;
    let file: fs.promises.FileHandle;
    try {
      file = await fs.promises.open(path);
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return null;
      throw error;
    }
    try {
      const chunk = Buffer.allocUnsafe(readChunkBytes);
      for (;;) {
        if (this.#options.signal?.aborted)
          throw new CairnError('ABORTED', { message: 'the check was cancelled' });
        const { bytesRead } = await file.read(chunk, 0, chunk.length, null);
        if (bytesRead === 0) break;
        const bytes = chunk.subarray(0, bytesRead);
        hash.update(bytes);
        if (builder !== null && !feeds(builder, bytes)) builder = null;
        this.#checkedBytes += bytesRead;
        this.#options.onProgress?.(this.#checkedBytes);
      }
    } finally {
      await file.close();
    }
    const digest = fromHex(hash.digest('hex'));
    return { digest, toc: hasToc ? (builder === null ? '' : (finished(builder) ?? '')) : null };
  }

  #checkIndex(): void {
    const { index, paths } = this.#parts;
    let entries: readonly Descriptor[];
    try {
      entries = index.read();
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      this.#report('INDEX_INVALID', paths.index, error.message, () => this.#rebuildIndex());
      return;
    }
    const bad = new Set<Descriptor>();
    for (const entry of entries) if (!this.#checkDescriptor(entry, shownEntry(entry))) bad.add(entry);
    if (!this.#options.repair || bad.size === 0) return;
    const lost = new Set([...bad].map((entry) => JSON.stringify(entry)));
    index.update((current) => current.filter((entry) => !lost.has(JSON.stringify(entry))));
  }

  /** Follows a descriptor. @returns false when something that it needs is missing or damaged */
  #checkDescriptor(descriptor: Descriptor, owner: string): boolean {
    const { blobs } = this.#parts;
    const { digest, size } = descriptor;
    const repairedByRemoval = () => undefined;
    if (!blobs.has(digest)) {
      this.#report(
        'BLOB_MISSING',
        digest,
        `${owner} needs this blob, and it is not in the store`,
        repairedByRemoval,
      );
      return false;
    }
    if (blobs.size(digest) !== size) {
      const message = `${owner} says that this blob has ${size} bytes; it has ${blobs.size(digest)}`;
      this.#report('SIZE_MISMATCH', digest, message, repairedByRemoval);
      return false;
    }
    try {
      return this.#childrenOf(descriptor).every((child) => this.#checkDescriptor(child, owner));
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      // A damaged blob was reported as such.
      const code =
        isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType)
          ? 'MANIFEST_INVALID'
          : 'CONFIG_INVALID';
      if (error.code !== 'DIGEST_MISMATCH')
        this.#report(code, digest, `${owner}: ${error.message}`, repairedByRemoval);
      return false;
    }
  }

  #childrenOf({ mediaType: type, digest }: Descriptor): readonly Descriptor[] {
    const { blobs } = this.#parts;
    if (isIndexType(type))
      return decodeIndex(blobs.readText(digest), `index ${digest}`).manifests.filter((item) =>
        blobs.has(item.digest),
      );
    if (!isManifestType(type)) return [];
    const manifest = decodeManifest(blobs.readText(digest), `manifest ${digest}`);
    if (isImageManifest(manifest) && blobs.has(manifest.config.digest)) {
      const { digest: configDigest } = manifest.config;
      const { diff_ids } = decodeImageConfig(blobs.readText(configDigest), `config ${configDigest}`).rootfs;
      const isContradiction =
        diff_ids.length !== manifest.layers.length ||
        manifest.layers.some(
          (layer, at) => layer.mediaType === mediaType.ociLayer && layer.digest !== diff_ids[at],
        );
      if (isContradiction)
        throw new CairnError('DOCUMENT_INVALID', {
          message: `manifest ${digest} and its config list different layers`,
        });
    }
    return [manifest.config, ...this.#ownLayers(manifest)];
  }

  /** The layers that must be here: a compressed one (a record of what a registry has) may be here uncompressed only. */
  #ownLayers(manifest: Manifest): readonly Descriptor[] {
    const { blobs } = this.#parts;
    if (!isImageManifest(manifest) || !blobs.has(manifest.config.digest)) return manifest.layers;
    const { digest } = manifest.config;
    const { diff_ids } = decodeImageConfig(blobs.readText(digest), `config ${digest}`).rootfs;
    return manifest.layers.filter((layer, at) => {
      const diffId = diff_ids[at];
      return blobs.has(layer.digest) || diffId === layer.digest || diffId === undefined || !blobs.has(diffId);
    });
  }

  /** An index of all image manifests among the blobs: their names are lost (the old file goes to logs/), the images are not. */
  #rebuildIndex(): void {
    const { paths, blobs, session } = this.#parts;
    const manifests: Descriptor[] = [];
    for (const name of listIfExists(paths.blobs)) {
      const digest = fromHex(name);
      if (!isDigest(digest) || blobs.size(digest) > 1 << 20) continue;
      const text = fs.readFileSync(blobs.path(digest), 'utf8');
      if (text.startsWith('{') && isCompleteImage(text, (needed) => blobs.has(needed)))
        manifests.push({ mediaType: mediaType.ociManifest, digest, size: blobs.size(digest) });
    }
    session.indexLocked(() => {
      fs.renameSync(paths.index, join(paths.logs, 'index.json.damaged'));
      const json = JSON.stringify({ schemaVersion: 2, mediaType: mediaType.ociIndex, manifests });
      replaceFile(paths.index, json, { temporary: session.temporary(), mode: 0o644 });
    });
  }

  #checkRecords(): void {
    const { paths, blobs } = this.#parts;
    for (const name of listIfExists(paths.steps)) {
      const path = join(paths.steps, name);
      const remove = () => fs.rmSync(path, { force: true });
      const head = readStepHead(path);
      if (head === null || hexOf(head.key) !== name) {
        if (fs.existsSync(path))
          this.#report('RECORD_INVALID', path, 'this cache record cannot be read', remove);
      } else if (!blobs.has(head.layer)) {
        this.#report(
          'RECORD_WITHOUT_LAYER',
          path,
          `the layer of this cache record, ${head.layer}, is gone`,
          remove,
        );
      }
    }
  }

  #checkStatCaches(): void {
    const { stat } = this.#parts.paths;
    for (const name of listIfExists(stat)) {
      const path = join(stat, name);
      if (StatTable.decode(fs.readFileSync(path)) === null)
        this.#report('STAT_CACHE_INVALID', path, 'this stat cache cannot be read', () =>
          fs.rmSync(path, { force: true }),
        );
    }
  }

  #checkDerived(): void {
    const { paths } = this.#parts;
    const layers = new Set(listIfExists(paths.blobs));
    const unpacked = new Set([...layers].map((hex) => rootfsName(fromHex(hex))));
    for (const name of listIfExists(paths.toc))
      if (!layers.has(name))
        this.#report('TOC_WITHOUT_LAYER', join(paths.toc, name), 'the layer of this table is gone', true);
    for (const name of listIfExists(paths.rootfs))
      if (!unpacked.has(name.slice(0, 24)))
        this.#report(
          'ROOTFS_WITHOUT_LAYER',
          join(paths.rootfs, name),
          'the layer of this folder is gone',
          true,
        );
  }

  /** Under the gc lock, so that a process that is just starting is not taken for a dead one. */
  #checkTmp(): void {
    const { paths, session } = this.#parts;
    session.exclusive(() => {
      const alive = new Set([session.name]);
      for (const name of listIfExists(paths.leases)) {
        const path = join(paths.leases, name);
        if (name === session.name || !isDeadLease(path)) alive.add(name);
        else this.#report('TMP_OF_DEAD', path, 'the process that made this lease is dead', true);
      }
      for (const name of listIfExists(paths.tmp))
        if (!alive.has(name))
          this.#report('TMP_OF_DEAD', join(paths.tmp, name), 'the process that made this is dead', true);
    });
  }

  #checkStrays(): void {
    const { paths } = this.#parts;
    const own = new Set([
      paths.format,
      paths.layout,
      paths.index,
      join(paths.root, 'blobs'),
      join(paths.root, 'cache'),
    ]);
    for (const folder of [...storeFolders(paths), paths.mounts, paths.sources, paths.sandboxes])
      own.add(folder);
    for (const folder of [paths.root, join(paths.root, 'blobs'), join(paths.root, 'cache')])
      for (const name of listIfExists(folder)) {
        const path = join(folder, name);
        if (!own.has(path) && name !== 'lost+found')
          this.#report('STRAY_FILE', path, 'this is not part of a store');
      }
  }

  #sweepLeftovers(): void {
    const damaged = this.#findings.some((finding) => finding.severity === 'damage' && !finding.isRepaired);
    if (!damaged) for (const path of collectGarbage({ parts: this.#parts }).left) removeTree(path);
  }

  /** @param repair - what mends it (true: the sweep at the end does); absent when only a person can. */
  #report(code: FindingCode, subject: string, message: string, repair?: (() => void) | true): void {
    const isRepaired = this.#options.repair === true && repair !== undefined;
    if (isRepaired && repair !== true) repair();
    this.#findings.push({ code, severity: findingCodes[code], message, subject, isRepaired });
  }
}

function isLayoutFile(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return (
      value !== null &&
      typeof value === 'object' &&
      'imageLayoutVersion' in value &&
      value.imageLayoutVersion === '1.0.0'
    );
  } catch {
    return false;
  }
}

function isCompleteImage(text: string, has: (digest: Digest) => boolean): boolean {
  try {
    const manifest = decodeManifest(text, 'blob');
    return (
      isImageManifest(manifest) && [manifest.config, ...manifest.layers].every((item) => has(item.digest))
    );
  } catch (error) {
    if (error instanceof CairnError) return false;
    throw error;
  }
}

function feeds(builder: TocBuilder, bytes: Uint8Array): boolean {
  try {
    builder.write(bytes);
    return true;
  } catch (error) {
    if (error instanceof CairnError) return false;
    throw error;
  }
}

function finished(builder: TocBuilder): string | null {
  try {
    return encodeToc(builder.finish());
  } catch (error) {
    if (error instanceof CairnError) return null;
    throw error;
  }
}

function shownEntry(entry: Descriptor): string {
  const name = entry.annotations?.['org.opencontainers.image.ref.name'];
  return name === undefined ? `the image without a name (manifest ${entry.digest})` : `image "${name}"`;
}
