import type { NormalizeRule } from '../contracts.ts';

export const uvCacheRule: NormalizeRule = {
  name: 'uv-cache',
  tool: 'uv',
  paths: ['~/.cache/uv/**'],
  action: { kind: 'drop' },
  reason: 'times of requests and random names of folders; uv fetches what its cache lacks',
};
