import type { NormalizeRule } from '../contracts.ts';

export const ldconfigCacheRule: NormalizeRule = {
  name: 'ldconfig-cache',
  tool: 'ldconfig',
  paths: ['var/cache/ldconfig/aux-cache'],
  action: { kind: 'drop' },
  reason: 'inode numbers and change times of libraries; only spares a later ldconfig some reading',
};
