export { applyChanges } from './apply-changes.ts';
export { build, forecastBuild } from './build.ts';
export {
  type CheckReport,
  checkDockerfile,
  type DockerfileFile,
  readOutline,
  readTargets,
} from './check-dockerfile.ts';
export { contextOf, namedContextOf } from './context/context-of.ts';
export {
  explainIgnored,
  type IgnoreExplanation,
  type IgnoreVerdict,
} from './context/explain-ignored.ts';
export {
  type BuildEvent,
  type BuildOptions,
  type BuildResult,
  type BuildStep,
  type CacheVerdict,
  type ContextSource,
  type DockerfileSource,
  defaultEpoch,
  type NamedContextSource,
  type SecretSource,
  type StepForecast,
  type Timestamp,
} from './contracts.ts';
export { describeRecord, type RecordPart } from './explain/describe-record.ts';
export type {
  Annotation,
  AnnotationPlace,
  BuildOutput,
  ImageForm,
  OutputTarget,
} from './export/output.ts';
export type { BuildAgainOptions } from './record/build-again.ts';
export {
  type DifferentInput,
  type DifferentLayer,
  type ProofReport,
  proveImage,
} from './record/prove-image.ts';
export { readRecord } from './record/stored-record.ts';
export { verifyImage } from './record/verify-image.ts';
export {
  type CacheMode,
  type CacheSource,
  type CacheTarget,
  type PushedTo,
  RemoteCache,
  type RemoteCacheOptions,
} from './remote-cache/index.ts';
export { type LockUpdate, updateLock } from './update-lock.ts';
export { type ResolvedUser, resolveUser } from './user.ts';
export { differenceText, findingText, type VerifiedStep } from './verify/verify-runs.ts';
