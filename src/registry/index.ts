export { parseChallenges } from './auth/challenge.ts';
export { checkLogin } from './auth/check-login.ts';
export { DockerConfig, serverKey } from './auth/docker-config.ts';
export { RegistryClient } from './client/registry-client.ts';
export { type FetchedManifest, RepositoryClient } from './client/repository-client.ts';
export { type PulledImage, type PullOptions, pullImage, shownRepository } from './pull/pull-image.ts';
export { type PushedImage, type PushOptions, pushImage } from './push/push-image.ts';
export { Registries, type RegistriesOptions } from './registries.ts';
export type { BlobStatus, TransferEvent } from './transfer-event.ts';
