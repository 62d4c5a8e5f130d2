import type { NormalizeRule } from '../contracts.ts';

export const wgetHstsRule: NormalizeRule = {
  name: 'wget-hsts',
  tool: 'wget',
  paths: ['~/.wget-hsts'],
  action: { kind: 'drop' },
  reason: 'when a server asked for HTTPS; only a hint for the next download',
};
