import type { NormalizeRule } from '../contracts.ts';

export const dnfStateRule: NormalizeRule = {
  name: 'dnf-state',
  tool: 'dnf',
  paths: [
    'var/log/dnf*.log',
    'var/log/hawkey.log',
    'var/log/yum.log',
    'var/cache/dnf/**',
    'var/cache/libdnf5/**',
    'var/cache/yum/**',
    'var/lib/dnf/history.sqlite*',
    'var/lib/dnf/history/**',
    'var/lib/dnf/repos/**',
    'usr/lib/sysimage/libdnf5/transaction_history.sqlite*',
  ],
  action: { kind: 'drop' },
  reason: 'logs, downloaded metadata and the record of past transactions, all with times; dnf makes new ones',
};
