import type {
  Descriptor,
  DiffId,
  Digest,
  ImageConfig,
  ImageId,
  Manifest,
  Platform,
  Reference,
} from '../oci/index.ts';
import type { ByteString } from '../sys/index.ts';

// The store's promises, as types. Implementations live beside this file; `run` and `registry` see only this.

// ---------------------------------------------------------------------------------------------- layers

/** Where the bytes of a regular file come from. Plain data, so that packing can move to a worker thread. */
export type ContentSource =
  /** A whole file on the host, opened without following a final link. `path` is absolute. */
  | { readonly kind: 'path'; readonly path: ByteString }
  /** A slice of a host file, such as a file inside an uncompressed layer blob. */
  | { readonly kind: 'slice'; readonly path: string; readonly offset: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

/** What an inode carries beside its content. Extended attributes: name to value, sorted by name; absent if none. */
export interface Attributes {
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since 1970; may be negative. */
  readonly mtime: number;
  readonly xattrs?: Readonly<Record<string, ByteString>>;
}

/**
 * One change that a layer makes. `path` is relative to the root, without a leading or trailing slash; the
 * root itself is the empty string. Entries of a layer are sorted in byte order of `path` **by component**
 * (a directory is directly followed by its contents), so parents come first.
 */
export type LayerEntry =
  | (Attributes & {
      readonly type: 'file';
      readonly path: ByteString;
      readonly size: number;
      /** Expected digest of the content, checked while packing when given. */
      readonly digest?: Digest;
      readonly source: ContentSource;
    })
  | (Attributes & { readonly type: 'dir'; readonly path: ByteString })
  | (Attributes & { readonly type: 'symlink'; readonly path: ByteString; readonly link: ByteString })
  | (Attributes & { readonly type: 'fifo'; readonly path: ByteString })
  | (Attributes & {
      readonly type: 'char' | 'block';
      readonly path: ByteString;
      readonly rdev: readonly [major: number, minor: number];
    })
  /** A further name of an inode whose first name (in entry order) is `target` in the same layer. */
  | { readonly type: 'hardlink'; readonly path: ByteString; readonly target: ByteString }
  /** `path` exists in a lower layer and is gone. */
  | { readonly type: 'whiteout'; readonly path: ByteString };

/**
 * An entry of a layer's table of contents. As in `LayerEntry`, with what the tar says about where the bytes are.
 * Only layers that others made hold `opaque` (everything below the directory `path` in lower layers is hidden).
 */
export interface TocEntry {
  readonly path: ByteString;
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'char' | 'block' | 'hardlink' | 'whiteout' | 'opaque';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  /** Bytes of content; 0 for everything but files. */
  readonly size: number;
  /** Symlink text, or the target path of a hard link. */
  readonly link?: ByteString;
  readonly rdev?: readonly [major: number, minor: number];
  readonly xattrs?: Readonly<Record<string, ByteString>>;
  /** Files: digest of the content. */
  readonly digest?: Digest;
  /** Files: byte offset of the content in the uncompressed tar. */
  readonly offset?: number;
}

/** A layer's table of contents: derived from the tar, rebuilt when missing. */
export interface Toc {
  readonly diffId: DiffId;
  /** Size of the uncompressed tar in bytes. */
  readonly tarSize: number;
  /** Sum of the sizes of its files: what `history` shows. */
  readonly contentSize: number;
  readonly entries: readonly TocEntry[];
}

// ----------------------------------------------------------------------------------------------- trees

/** A path of a merged root file system. Two nodes with one `inode` are hard links of each other. */
export interface TreeNode {
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'char' | 'block';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly size: number;
  readonly link?: ByteString;
  readonly rdev?: readonly [major: number, minor: number];
  readonly xattrs?: Readonly<Record<string, ByteString>>;
  readonly digest?: Digest;
  /** Files: where the content lies. */
  readonly content?: { readonly layer: DiffId; readonly offset: number };
  /** Files with several names: identity of the inode within this tree. */
  readonly inode?: string;
}

/** A merged root file system, immutable; nothing is unpacked. Paths as in `LayerEntry`. */
export interface Tree {
  /** The node at exactly that path, no link followed; the root ('') always exists. */
  get(path: ByteString): TreeNode | undefined;
  /** Names in a directory in byte order; empty when it is not a directory. */
  list(path: ByteString): readonly ByteString[];
  /**
   * Where `path` really lies: every symlink on the way is followed inside the root (absolute links and `..` stay
   * inside), the last component only when `followLast`. Components that do not exist are kept as they are.
   * @throws {CairnError} LINK_LOOP after 255 links, as the kernel does at 40.
   */
  resolve(path: ByteString, options?: { readonly followLast?: boolean }): ByteString;
  /** All nodes below (not including) `path`, depth first, parents first, byte order. */
  walk(path?: ByteString): Iterable<readonly [ByteString, TreeNode]>;
  /** This tree with a further layer on top. */
  apply(toc: Toc): Tree;
}

// ----------------------------------------------------------------------------------------------- blobs

/**
 * Bytes named by their digest. A blob exists only when complete, verified and durable (temporary file, fsync,
 * rename, fsync of the folder). Putting what is there already is normal and cheap. Everything written through
 * an open store is leased until the store is closed: gc in another process cannot take it.
 */
export interface BlobStore {
  has(digest: Digest): boolean;
  /** Size in bytes. @throws {CairnError} BLOB_NOT_FOUND */
  size(digest: Digest): number;
  /** Absolute path of the blob's file, for reading only. */
  path(digest: Digest): string;
  /** Small blobs (JSON), verified. @throws {CairnError} BLOB_NOT_FOUND, DIGEST_MISMATCH, DOCUMENT_INVALID over `maxBytes` (default 32 MiB) */
  readText(digest: Digest, maxBytes?: number): string;
  /** The bytes in chunks, verified at the end: a mismatch is thrown after the last chunk. */
  read(digest: Digest): AsyncIterable<Uint8Array>;
  /** The bytes from `offset` on, in chunks, not verified: for who sends them to one who verifies. @throws {CairnError} BLOB_NOT_FOUND */
  readFrom(digest: Digest, offset: number): AsyncIterable<Uint8Array>;
  /** Stores bytes and returns their digest. */
  put(bytes: Uint8Array | string): Digest;
  /** Starts a blob of unknown digest. `commit` verifies `expected` when given. */
  create(): BlobWriter;
}

/** A blob in the making, in the store's tmp folder. One of `commit` and `abort` must be called. */
export interface BlobWriter {
  /** Appends; synchronous, since bytes go to the page cache and callers bound their chunks (1 MiB). */
  write(chunk: Uint8Array): void;
  /** @throws {CairnError} DIGEST_MISMATCH when `expected` differs; nothing is stored then. */
  commit(expected?: Digest): { readonly digest: Digest; readonly size: number };
  abort(): void;
}

// ---------------------------------------------------------------------------------------------- images

/** An image in the store, as one row of `images` is made from. */
export interface ImageRecord {
  readonly id: ImageId;
  readonly manifestDigest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** Familiar names with tag that point at it (`debian:12`), in byte order; empty for an untagged image. */
  readonly tags: readonly string[];
  /** `name@sha256:…` under which it was pulled or pushed. */
  readonly repoDigests: readonly string[];
  /** The list of platforms through which it was found by name: what a further name is to point at. */
  readonly indexDigest?: Digest;
}

/** What a manifest says beside config and layers. */
export interface ManifestOptions {
  readonly annotations?: Readonly<Record<string, string>>;
  /** Whose media types it uses: `oci` when absent. */
  readonly mediaTypes?: 'oci' | 'docker';
}

/** One image of a list of platforms. */
export interface IndexMember {
  readonly manifestDigest: Digest;
  readonly platform: Platform;
  /** Of its descriptor in the list. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The store's index.json: names for manifests. Reading never locks; each change is one atomic replacement under a lock. */
export interface ImageStore {
  list(): readonly ImageRecord[];
  /**
   * Finds by reference, by image ID (full or unique hex prefix, with or without `sha256:`) or by `name@digest`.
   * @returns null when there is none. @throws {CairnError} REFERENCE_AMBIGUOUS for a prefix of several IDs
   */
  find(nameOrId: string, options?: FindImageOptions): ImageRecord | null;
  /** As `find`. @throws {CairnError} IMAGE_NOT_FOUND with Docker's wording */
  get(nameOrId: string, options?: FindImageOptions): ImageRecord;
  /** Writes config and manifest for layers that are in the store (uncompressed), without naming it. */
  put(config: ImageConfig, options?: ManifestOptions): ImageRecord;
  /** As `put` for a config that someone else has written: its bytes, and so the image ID, are kept. */
  putEncoded(configJson: string | Uint8Array, options?: ManifestOptions): ImageRecord;
  /** Writes a list of platforms for manifests that are in the store, without naming it. */
  putIndex(members: readonly IndexMember[], options?: ManifestOptions): Digest;
  /** What a name stands for in index.json: a manifest, or a list of platforms; null for none. */
  target(reference: Reference): Descriptor | null;
  /** Every manifest in the index that is this image: with the layers as they are here, or compressed as in a registry. */
  manifestsOf(id: ImageId): readonly Digest[];
  /**
   * Points tags at a manifest or list of platforms in the store, in one replacement; the old target of a tag stays as an
   * untagged image. A reference with a digest (`name@sha256:…`) records where the image is in a registry: of
   * what it names, layers may be absent.
   */
  tag(manifestDigest: Digest, references: readonly Reference[]): void;
  /** Keeps an image with no name in the index (a build without -t). Does nothing when it has an entry already. */
  keepUntagged(manifestDigest: Digest): void;
  /** Removes one name; the image goes untagged only when `keepUntagged`. @returns whether it existed */
  untag(reference: Reference, options?: { readonly keepUntagged?: boolean }): boolean;
  /** Removes every index entry of an image. Blobs go at the next gc, which `rmi` runs. */
  remove(id: ImageId): void;
  /**
   * Attaches an artifact to a manifest in the store, in place of an earlier one of its type: a manifest of its own (a referrer)
   * that is no part of the image and goes when the image goes. Takes no lock when it is there already.
   * @returns the digest of the referrer's manifest @throws {CairnError} BLOB_NOT_FOUND
   */
  attach(subject: Digest, artifact: Artifact): Digest;
  /** The referrers of a manifest, of one type when given: descriptors of their manifests. */
  referrers(subject: Digest, artifactType?: string): readonly Descriptor[];
}

/** Something that is about an image without being part of it. */
export interface Artifact {
  readonly artifactType: string;
  /** Blobs in the store. */
  readonly layers: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** How an image is looked for. */
export interface FindImageOptions {
  /**
   * Which image a name of a list of platforms means: none, when the list lacks it. This machine's, else the first that is here,
   * when absent. A name of a single image means that one, whatever its platform.
   */
  readonly platform?: Platform;
}

// ----------------------------------------------------------------------------------------------- cache

/** What a build step left behind. `key` is the digest over its typed inputs (builder's cache-key.ts). */
export interface StepRecord {
  readonly key: Digest;
  readonly layer: DiffId;
  /** The key's components, named, for the explanation of a later miss. */
  readonly components: Readonly<Record<string, string>>;
  /** Groups records of the same place in the same build, to find the nearest earlier one. */
  readonly place: string;
  /** When and for how long, for people; not part of any digest. ISO 8601 and milliseconds. */
  readonly createdAt: string;
  readonly durationMs: number;
  /** The instruction, as people know it: `RUN make`. Absent for records by content. */
  readonly name?: string;
  /** Why it was executed and not found, in one line. */
  readonly reason?: string;
  /** Names of the input lists that explain it (`StepCache.inputs`). They go when no record names them. */
  readonly inputs?: readonly Digest[];
  /** The remote cache that it comes from; not stored. */
  readonly origin?: string;
}

/** Cache of build steps: plain files, one per key. A record whose layer is gone counts as absent. */
export interface StepCache {
  get(key: Digest): StepRecord | null;
  /** @param lists - contents of input lists that the record names; those that are there already are not written. */
  put(record: StepRecord, lists?: ReadonlyMap<Digest, () => Uint8Array>): void;
  /** An input list as it was given; null when it is gone. Not verified: readers check what they find. */
  inputs(name: Digest): Uint8Array | null;
  /** Records of a place, newest first, at most `limit`. */
  recent(place: string, limit: number): readonly StepRecord[];
}

/** Digests of context files by (device, inode, size, mtime ns, ctime ns): see stat-cache.ts for the racy-clean rule. */
export interface StatCache {
  get(stat: FileIdentity): Digest | null;
  put(stat: FileIdentity, digest: Digest): void;
  /** Says that no file is being read at this moment: what changed before it is safe to remember from now on. */
  mark?(): void;
  /** Writes what is new; atomic, and never fails a build. */
  save(): void;
}

export interface FileIdentity {
  readonly dev: bigint | number;
  readonly ino: bigint | number;
  readonly size: bigint | number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

// ---------------------------------------------------------------------------------------- cache mounts

/** What tells cache mounts apart, and how a build wants to use one. */
export interface CacheMountRequest {
  readonly namespace: string;
  readonly id: string;
  /**
   * Who else may use the folder meanwhile. `shared`: other shared users; `private`: nobody, others get a folder of their own;
   * `locked`: nobody, others wait.
   */
  readonly sharing: 'shared' | 'private' | 'locked';
  /** A layer, leased by the caller: a new folder starts with what it has at `content`. Another seed is another cache. */
  readonly seed?: DiffId;
  /** Of a new, empty folder: 0755 and root's when absent. Other attributes are another cache. */
  readonly attributes?: { readonly mode: number; readonly uid: number; readonly gid: number };
}

/** Cache mounts in use, until `release`, or until this process is dead. */
export interface HeldCacheMounts {
  /** One for each request, in order: a folder (or a file, when the seed is one). */
  readonly paths: readonly string[];
  release(): void;
}

/**
 * Folders that outlive builds (`RUN --mount=type=cache`): cache/mounts/ of the store. They are locked while in use, across
 * processes; pruning takes only what nobody uses.
 */
export interface CacheMounts {
  /**
   * Takes all of them or none, in an order that lets no two callers wait for each other. Requests for one cache share it.
   * @throws what `signal` says; {CairnError} UNPACK_NOT_PERMITTED, STORE_FULL
   */
  acquire(requests: readonly CacheMountRequest[], signal?: AbortSignal): Promise<HeldCacheMounts>;
}

// ------------------------------------------------------------------------------------------ the store

/** How layers are compressed for registries. */
export type LayerCompression = 'gzip' | 'zstd';

/** The form in which a registry has a layer: what a manifest says about it. */
export interface LayerForm {
  readonly digest: Digest;
  readonly size: number;
  readonly compression: LayerCompression | 'none';
  /** Repositories (`registry/name`) that are known to hold it. */
  readonly sources: readonly string[];
}

/**
 * Which compressed blobs are which layer, learnt when pulling and pushing, so that nothing is compressed twice and a layer is
 * pushed with the bytes it was pulled with. The blobs themselves may be gone from the store. A cache: it may be deleted.
 */
export interface LayerForms {
  /** Newest first. */
  get(diffId: DiffId): readonly LayerForm[];
  /** Adds a form, or sources to a known one. */
  add(diffId: DiffId, form: LayerForm): void;
}

/** A layer that is not in the store and can be had from elsewhere, such as a remote build cache. */
export interface LayerOffer {
  /** Its table of contents, as the source has it; null when that says nothing. Believed until the layer itself is here. */
  table(): Promise<Toc | null>;
  /** Its bytes, compressed or not. They are verified against the diffID. */
  fetch(): AsyncIterable<Uint8Array>;
  /** Told what kept the layer from being had, or that its table was wrong. @returns what is thrown then */
  lost(error: unknown): unknown;
}

/** Layers and their derived forms. */
export interface LayerStore {
  /** Says where a layer can be had, until `close`. It is fetched when its bytes are needed: `unpacked`, `write`, `compressed`. */
  offer(diffId: DiffId, offer: LayerOffer): void;
  /** Whether the layer was offered and its bytes are not here. */
  isRemote(diffId: DiffId): boolean;
  /** Makes `toc` and `tree` work for layers that were offered: brings in their tables of contents, or the layers. */
  prepare(diffIds: readonly DiffId[]): Promise<void>;
  /** Brings in those of the layers that were offered and are not here, verified. @throws what `LayerOffer.lost` says */
  fetch(diffIds: readonly DiffId[]): Promise<void>;
  /** Table of contents of a layer in the store; rebuilt from the blob when missing. */
  toc(diffId: DiffId): Toc;
  /** The merged tree of a stack, base layer first. */
  tree(diffIds: readonly DiffId[]): Tree;
  /** Packs entries (in order) into a canonical layer; blob and table of contents are in the store on return. */
  write(entries: Iterable<LayerEntry>): Promise<Toc>;
  /** Adopts an uncompressed foreign tar as it is (its bytes are its identity). */
  adopt(tar: AsyncIterable<Uint8Array>, expected?: DiffId): Promise<Toc>;
  /** As `adopt` for bytes that may be compressed (gzip, zstd, xz, bzip2). @throws {CairnError} ARCHIVE_INVALID, DIGEST_MISMATCH */
  adoptCompressed(bytes: AsyncIterable<Uint8Array>, expected: DiffId): Promise<Toc>;
  /**
   * The layer compressed, in chunks, each valid until the next one is asked for: the same bytes on every machine, every Node and for any number of threads, as long as the
   * store's format of compression stays.
   */
  compressed(diffId: DiffId, compression: LayerCompression): AsyncGenerator<Uint8Array>;
  /**
   * Directories for overlay's `lowerdir`, base layer first, each unpacked once ever in overlay's own format
   * (0:0 character devices, `trusted.overlay.opaque`). Leased until the store is closed. Needs root (or a
   * user namespace that maps the ids). @throws {CairnError} UNPACK_NOT_PERMITTED
   */
  unpacked(diffIds: readonly DiffId[]): Promise<readonly string[]>;
  /** Content of a file node. */
  content(node: TreeNode): ContentSource;
}

/** Remembers for later processes that a sandbox works on this machine, by a name for all that this depends on. It may forget. */
export interface TriedSandboxes {
  has(name: string): boolean;
  add(name: string): void;
  remove(name: string): void;
}

export interface Store {
  /** Absolute path. */
  readonly root: string;
  readonly blobs: BlobStore;
  readonly images: ImageStore;
  readonly layers: LayerStore;
  readonly forms: LayerForms;
  readonly steps: StepCache;
  readonly cacheMounts: CacheMounts;
  readonly triedSandboxes: TriedSandboxes;
  /** Digests of the files of one build context (an absolute path); call `save` when done. */
  statCache(context: string): StatCache;
  /** A fresh private folder below tmp/, removed by `close`, or by gc when this process is dead. */
  scratch(): string;
  /**
   * Keeps a blob from gc until `close`; for the manifest of an image in the index, all that it names. Before the first write
   * through this store it is only noted and taken with that write (STORE_PRUNED if it went meanwhile), so that a
   * build which finds everything in the cache locks nothing. @returns false for a digest that is not in the store
   */
  lease(digest: Digest): boolean;
  /** Releases leases, removes scratch folders. Idempotent. */
  close(): void;
}

export type { Descriptor, DiffId, Digest, ImageConfig, ImageId, Manifest, Reference };
