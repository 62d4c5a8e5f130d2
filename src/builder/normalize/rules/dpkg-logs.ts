import type { NormalizeRule } from '../contracts.ts';

export const dpkgLogsRule: NormalizeRule = {
  name: 'dpkg-logs',
  tool: 'dpkg',
  paths: ['var/log/dpkg.log', 'var/log/alternatives.log', 'var/log/bootstrap.log'],
  action: { kind: 'drop' },
  reason: 'what was installed when; nothing reads it',
};
