import type { NormalizeRule } from '../contracts.ts';

export const npmCacheRule: NormalizeRule = {
  name: 'npm-cache',
  tool: 'npm',
  paths: ['~/.npm/_cacache/**', '~/.npm/_logs/**', '~/.npm/_update-notifier-last-checked'],
  action: { kind: 'drop' },
  reason: 'times of requests and logs of runs; npm fetches what its cache lacks',
};
