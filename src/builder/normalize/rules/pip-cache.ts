import type { NormalizeRule } from '../contracts.ts';

export const pipCacheRule: NormalizeRule = {
  name: 'pip-cache',
  tool: 'pip',
  paths: ['~/.cache/pip/**'],
  action: { kind: 'drop' },
  reason:
    'times of requests, and names of temporary folders in built wheels; pip fetches what its cache lacks',
};
