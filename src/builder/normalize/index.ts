export type { NormalizedPath, NormalizeRule } from './contracts.ts';
export { normalizeRun } from './normalize-run.ts';
export { normalizeVersion, rules } from './rules/index.ts';
