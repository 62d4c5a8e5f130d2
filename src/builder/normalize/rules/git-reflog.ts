import type { LayerFile, LayerView, NormalizeRule, Rewrite } from '../contracts.ts';

/** When branches of a repository moved, as git notes it for itself (git-reflog(1)). */
export const gitReflogRule: NormalizeRule = {
  name: 'git-reflog',
  tool: 'git',
  paths: ['**/.git/logs/**'],
  action: { kind: 'rewrite', rewrite },
  reason:
    'when a clone, fetch or checkout was done: later times become the epoch (times of commits are contents, and stay)',
};

const maxBytes = 1024 * 1024;

function rewrite(file: LayerFile, layer: LayerView): Rewrite | null {
  if (!Number.isFinite(layer.epoch)) return null;
  const text = layer.read(file, maxBytes)?.toString('latin1');
  if (text === undefined) return null;
  const changed = text.replace(
    /^([0-9a-f]{40,64} [0-9a-f]{40,64} [^\n]*> )(\d+)( [+-]\d{4}(?:\t|$))/gm,
    (line, before: string, time: string, after: string) =>
      Number(time) > layer.epoch ? `${before}${layer.epoch}${after}` : line,
  );
  return changed === text ? null : { kind: 'content', bytes: Buffer.from(changed, 'latin1') };
}
