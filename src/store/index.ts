export { type ArchiveEntry, writeArchive } from './archive/archive-writer.ts';
export { compressionOf, decompress, magicBytes } from './archive/decompress.ts';
export { type ImportOptions, importImage } from './archive/import-image.ts';
export { layoutEntries } from './archive/layout-archive.ts';
export { type LoadedImage, type LoadOptions, loadImages } from './archive/load-images.ts';
export {
  imageArchive,
  imageArchiveEntries,
  type SaveOptions,
  saveImages,
  selectImages,
} from './archive/save-images.ts';
export { archiveTrees, type PlacedTree } from './archive/tree-archive.ts';
export type { CacheMountEntry } from './cache-mounts.ts';
export { collectGarbage, type GarbageReport } from './collect-garbage.ts';
export * from './contracts.ts';
export {
  type DiskUsage,
  diskUsage,
  type ImageUsage,
  type StepUsage,
  stepUsage,
  type UsageSummary,
} from './disk-usage.ts';
export type { FetchedSourceEntry } from './fetched-sources.ts';
export {
  type Finding,
  type FindingCode,
  type FsckOptions,
  type FsckReport,
  findingCodes,
  fsck,
} from './fsck.ts';
export { scanUpper, type TarHandler, type TarMember, TarReader, withParents } from './layer/index.ts';
export { decodeToc, encodeToc } from './layer/toc-codec.ts';
export { type LocalStore, openStore } from './open-store.ts';
export {
  type CachePruneOptions,
  type CachePruneReport,
  type ImagePruneOptions,
  type LabelFilter,
  type PrunedStep,
  pruneCache,
  pruneImages,
} from './prune.ts';
export {
  type RemovalReport,
  type RemovedItem,
  type RemoveImageOptions,
  removeImage,
} from './remove-image.ts';
export type { StoreOptions } from './store-parts.ts';
