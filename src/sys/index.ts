export { usableCpus, withCpus } from './affinity.ts';
export { type BlockFormat, blockCompressor } from './block-compressor.ts';
export { type ByteString, fromBuffer, fsPath, toBuffer, toBytes, toText } from './byte-string.ts';
export { CompressionWorkers } from './compression-workers.ts';
export { type InitFailure, type InitPlan, initCommand } from './init.ts';
export type { SystemError } from './libc.ts';
export { type LockKind, lock, lockSync, tryLock, unlock } from './lock.ts';
export {
  type MountFlag,
  type MountOptions,
  makeMountsPrivate,
  mount,
  mountOverlay,
  type OverlayMount,
  unmount,
  unshareMounts,
} from './mount.ts';
export { inNewNamespaces } from './namespaces.ts';
export { decodeDevice, encodeDevice, makeNode, type SpecialNode } from './node.ts';
export {
  currentPersonality,
  disableAddressRandomization,
  withoutAddressRandomization,
} from './personality.ts';
export { openPipe, type Pipe } from './pipe.ts';
export { syncFileSystem, syncFolder } from './sync.ts';
export { enterRawMode, openTerminal, setWindowSize, type Terminal } from './terminal.ts';
export { setMtime } from './times.ts';
export { isMappedId, isUserNamespace } from './user-namespace.ts';
export { getXattr, listXattrs, removeXattr, setXattr } from './xattr.ts';
