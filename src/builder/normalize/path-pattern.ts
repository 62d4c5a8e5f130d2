import { type ByteString, toBytes } from '../../sys/index.ts';

/**
 * One expression for all patterns of a list (see `NormalizeRule.paths`).
 * @param homes - home folders below the root, for patterns that start with `~/`.
 */
export function compilePatterns(patterns: readonly string[], homes: readonly ByteString[]): RegExp {
  const sources = patterns.flatMap((pattern) =>
    pattern.startsWith('~/')
      ? homes.map((home) => `${literal(home)}${home === '' ? '' : '/'}${expand(pattern.slice(2))}`)
      : [expand(pattern)],
  );
  // Without an alternative nothing matches: an empty one would match everything.
  return sources.length === 0 ? /(?!)/ : new RegExp(`^(?:${sources.join('|')})$`, 's');
}

function expand(pattern: string): string {
  const below = pattern.endsWith('/**');
  const anywhere = pattern.startsWith('**/');
  const names = toBytes(pattern.slice(anywhere ? 3 : 0, below ? -3 : undefined));
  const source = `${anywhere ? '(?:.*/)?' : ''}${names.split('*').map(literal).join('[^/]*')}`;
  return below ? `${source}(?:/.*)?` : source;
}

function literal(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
