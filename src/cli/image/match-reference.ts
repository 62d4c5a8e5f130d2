import {
  canonicalName,
  familiarName,
  familiarRepository,
  parseReference,
  type Reference,
} from '../../oci/index.ts';

/**
 * Whether a name of the store matches what a user wrote after `images` or in `reference=`: a glob (Go's path.Match,
 * where `*` stops at `/`) over the short name with or without tag; the full name is accepted as well.
 */
export function matchesReference(pattern: string, name: string): boolean {
  const reference = parseReference(name);
  const matcher = globToRegExp(pattern);
  if (matcher === null) return false;
  return spellings(reference).some((spelling) => matcher.test(spelling));
}

function spellings(reference: Reference): readonly string[] {
  const { registry, repository } = reference;
  return [
    familiarName(reference),
    familiarRepository(reference),
    canonicalName(reference),
    canonicalName({ registry, repository }),
  ];
}

/** Go's path.Match as a regular expression; null for a broken pattern. */
function globToRegExp(glob: string): RegExp | null {
  let source = '';
  for (let at = 0; at < glob.length; at++) {
    const char = glob.charAt(at);
    if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '[') {
      const end = glob.indexOf(']', at + 2);
      if (end < 0) return null;
      const body = glob
        .slice(at + 1, end)
        .replace(/\\(?![\]\\^-])/g, '\\\\')
        .replace(/\[/g, '\\[');
      source += `[${body}]`;
      at = end;
    } else if (char === '\\') source += escapeRegExp(glob.charAt(++at));
    else source += escapeRegExp(char);
  }
  try {
    return new RegExp(`^${source}$`, 's');
  } catch {
    return null;
  }
}

function escapeRegExp(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}
