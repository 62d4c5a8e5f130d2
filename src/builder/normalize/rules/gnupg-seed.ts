import type { NormalizeRule } from '../contracts.ts';

export const gnupgSeedRule: NormalizeRule = {
  name: 'gnupg-seed',
  tool: 'gnupg',
  paths: ['~/.gnupg/random_seed'],
  action: { kind: 'drop' },
  reason: 'random numbers for the next start; gpg makes a new file',
};
