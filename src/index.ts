// The library: what `import … from 'cairn'` gives. The command line is written on it.

export {
  type BuildEvent,
  type BuildOptions,
  type BuildResult,
  type BuildStep,
  build,
  type ContextSource,
  type DockerfileSource,
  defaultEpoch,
  type Timestamp,
} from './builder/index.ts';
export { CairnError, type ErrorCode, errorCodes, hasCode, renderError, type Span } from './errors/index.ts';
export {
  type Digest,
  type ImageConfig,
  type ImageId,
  type Platform,
  parsePlatform,
  parseReference,
  type Reference,
} from './oci/index.ts';
export { type Diagnostic, type Dockerfile, parseDockerfile } from './parser/index.ts';
export {
  type ImageRecord,
  importImage,
  type LocalStore,
  loadImages,
  openStore,
  type Store,
  saveImages,
  selectImages,
} from './store/index.ts';
