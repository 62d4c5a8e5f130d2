export { parseChallenges } from './auth/challenge.ts';
export { checkLogin } from './auth/check-login.ts';
export { DockerConfig, serverKey } from './auth/docker-config.ts';
export { downloadBlob, verified } from './client/download-blob.ts';
export { listReferrers, pushReferrer } from './client/referrers.ts';

export { type FetchedManifest, RepositoryClient } from './client/repository-client.ts';
export { type SearchOptions, type SearchResult, searchRegistry } from './client/search.ts';
export { uploadBlob } from './client/upload-blob.ts';
export { registrySink, registrySource } from './copy/content.ts';
export { copyContent } from './copy/copy-content.ts';
export { layoutSink, layoutSource } from './copy/layout-folder.ts';
export { fetchConfig } from './pull/fetch-config.ts';
export { isIndexType, layerType } from './pull/media-types.ts';
export { type PulledImage, type PullOptions, pullImage, shownRepository } from './pull/pull-image.ts';
export { BlobPusher } from './push/push-blob.ts';
export { type PushedImage, type PushOptions, pushImage } from './push/push-image.ts';
export { Registries, type RegistriesOptions } from './registries.ts';
export type { BlobStatus, TransferEvent } from './transfer-event.ts';
