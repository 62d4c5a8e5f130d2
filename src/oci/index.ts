export { decodeImageConfig, decodeIndex, decodeManifest } from './decode.ts';
export {
  type ChainId,
  chainIdOf,
  type DiffId,
  type Digest,
  digestOf,
  fromHex,
  hexOf,
  type ImageId,
  isDigest,
} from './digest.ts';
export { encodeImageConfig, encodeIndex, encodeManifest } from './encode.ts';
export type {
  Descriptor,
  HealthConfig,
  HistoryEntry,
  ImageConfig,
  Index,
  Manifest,
  RunConfig,
} from './image.ts';
export { mediaType } from './media-type.ts';
export {
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
  samePlatform,
} from './platform.ts';
export {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  type Reference,
  withDefaultTag,
} from './reference.ts';
