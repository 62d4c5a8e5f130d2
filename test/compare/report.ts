import type { Difference } from './difference.ts';

/** Differences for people, one a line, the peer's value first. At most `limit` lines of each area. */
export function describeDifferences(differences: readonly Difference[], limit = 40): string {
  const lines: string[] = [];
  for (const area of ['layers', 'config', 'history', 'file'] as const) {
    const those = differences.filter((difference) => difference.area === area);
    lines.push(...those.slice(0, limit).map(describe));
    if (those.length > limit) lines.push(`  … and ${those.length - limit} more of this kind`);
  }
  return lines.join('\n');
}

function describe(difference: Difference): string {
  const where = difference.area === 'file' ? `/${printable(difference.where)}` : difference.where;
  if (difference.field === 'path') {
    return difference.actual === undefined
      ? `  ${where}: missing in cairn's image (docker: ${difference.expected})`
      : `  ${where}: only in cairn's image (${difference.actual})`;
  }
  return `  ${where}: ${difference.field}: docker ${printable(difference.expected ?? '(none)')}, cairn ${printable(difference.actual ?? '(none)')}`;
}

// Names of files are bytes (latin1 here): show those outside printable ASCII as escapes.
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
