export type { CacheMode, CacheSource, CacheTarget } from './cache-options.ts';
export { type PushedTo, RemoteCache, type RemoteCacheOptions } from './remote-cache.ts';
