import type { NormalizeRule } from '../contracts.ts';

export const fontconfigCacheRule: NormalizeRule = {
  name: 'fontconfig-cache',
  tool: 'fontconfig',
  paths: [
    'var/cache/fontconfig/*.cache-*',
    '~/.cache/fontconfig/**',
    '~/.fontconfig/**',
    'var/log/fontconfig.log',
  ],
  action: { kind: 'drop' },
  reason:
    'times of font folders; a cache whose folder has another time is rebuilt by the first program that looks for a font',
};
