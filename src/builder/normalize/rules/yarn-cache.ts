import type { NormalizeRule } from '../contracts.ts';

export const yarnCacheRule: NormalizeRule = {
  name: 'yarn-cache',
  tool: 'yarn 1',
  paths: [
    '~/.cache/yarn/v6/**',
    'usr/local/share/.cache/yarn/v6/**',
    '~/.cache/yarn/v4/**',
    'usr/local/share/.cache/yarn/v4/**',
  ],
  action: { kind: 'drop' },
  reason:
    'times and random names of downloads; yarn fetches what its cache lacks (the cache of later versions is needed at run time, and stays)',
};
