import type { NormalizeRule } from '../contracts.ts';

export const aptLogsRule: NormalizeRule = {
  name: 'apt-logs',
  tool: 'apt',
  paths: [
    'var/log/apt/history.log',
    'var/log/apt/term.log',
    'var/log/apt/eipp.log.xz',
    'var/log/apt/planner.log',
    'var/log/apt/solver.log',
  ],
  action: { kind: 'drop' },
  reason: 'what was installed when; nothing reads it',
};
