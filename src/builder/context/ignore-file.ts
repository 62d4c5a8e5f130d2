import { posix } from 'node:path';

/** A pattern of an ignore file with the line (from 1) on which it stands. */
export interface IgnoreLine {
  readonly pattern: string;
  readonly line: number;
}

/**
 * Reads a .dockerignore: BOM dropped, `#` in the first column is a comment, Unicode blanks trimmed, paths
 * cleaned, a leading `/` (also behind `!`) removed (moby/patternmatcher, ignorefile).
 */
export function parseIgnoreFile(text: string): IgnoreLine[] {
  const lines = text.replace(/^\uFEFF/, '').split('\n');
  return lines.flatMap((raw, i) => {
    if (raw.startsWith('#')) return [];
    const pattern = cleanLine(raw.trim());
    return pattern === '' ? [] : [{ pattern, line: i + 1 }];
  });
}

function cleanLine(trimmed: string): string {
  if (trimmed === '') return '';
  const negated = trimmed.startsWith('!');
  const body = negated ? trimmed.slice(1).trim() : trimmed;
  if (body === '') return '!';
  const normal = posix.normalize(body);
  const cleaned = normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
  const relative = cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned;
  return negated ? `!${relative}` : relative;
}
