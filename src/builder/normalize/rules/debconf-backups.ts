import type { NormalizeRule } from '../contracts.ts';

export const debconfBackupsRule: NormalizeRule = {
  name: 'debconf-backups',
  tool: 'debconf',
  paths: ['var/cache/debconf/*.dat-old'],
  action: { kind: 'drop' },
  reason: 'the databases as they were before the last question; nothing reads them',
};
