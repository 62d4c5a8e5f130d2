export { withParents } from './ancestors.ts';
export { packLayer } from './pack.ts';
export { comparePaths, joinPath, parentOf, sortEntries } from './path-order.ts';
export { scanUpper } from './scan.ts';
export { type TarHandler, type TarMember, TarReader } from './tar-reader.ts';
export { TocBuilder } from './toc-builder.ts';
export { decodeToc, encodeToc } from './toc-codec.ts';
export { emptyTree, treeOf } from './tree.ts';
export { needsParent, unpackLayer } from './unpack.ts';
