import type { NormalizeRule } from '../contracts.ts';

export const packageLogsRule: NormalizeRule = {
  name: 'package-logs',
  tool: 'apk, zypper, pacman',
  paths: ['var/log/apk.log', 'var/log/zypper.log', 'var/log/zypp/history', 'var/log/pacman.log'],
  action: { kind: 'drop' },
  reason: 'what was installed when; nothing reads it',
};
