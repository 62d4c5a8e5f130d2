import type { NormalizeRule } from '../contracts.ts';

export const aptCacheRule: NormalizeRule = {
  name: 'apt-cache',
  tool: 'apt',
  paths: ['var/cache/apt/pkgcache.bin', 'var/cache/apt/srcpkgcache.bin'],
  action: { kind: 'drop' },
  reason:
    'memory images of the package lists, with offsets and file times; apt makes them again from the lists, which stay',
};
