import type { SandboxSpec } from './contracts.ts';

/**
 * The environment that a command gets: the spec's, and `HOME=/` when that has no HOME, since OCI runtimes would add one of their own
 * finding. Callers look HOME up in the image's passwd.
 */
export function commandEnv(spec: SandboxSpec): readonly string[] {
  return spec.env.some((entry) => entry.startsWith('HOME=')) ? spec.env : [...spec.env, 'HOME=/'];
}
