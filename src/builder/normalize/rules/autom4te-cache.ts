import type { NormalizeRule } from '../contracts.ts';

export const autom4teCacheRule: NormalizeRule = {
  name: 'autom4te-cache',
  tool: 'autoconf',
  paths: ['**/autom4te.cache/**'],
  action: { kind: 'drop' },
  reason: "traces of past runs, in the order of Perl's hashes; autoconf makes them again",
};
