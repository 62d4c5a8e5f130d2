import type { Cause } from './cause.ts';
import { clockTraces } from './varied-clock.ts';

/** What is known about the two executions whose results are compared. */
export interface Circumstances {
  /** Host names of the first and of the second execution. */
  readonly hostnames: readonly [string, string];
  /** Parts of paths on the host that must not show in a result. */
  readonly hostPaths: readonly string[];
}

const months = 'Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec';

/** What a differing stretch of text can be, the more telling first. */
const patterns: readonly { readonly cause: Cause; readonly pattern: RegExp }[] = [
  { cause: 'randomness', pattern: /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi },
  { cause: 'temporary-name', pattern: /(?:\/var)?\/tmp\/[\w./+-]*[\w+]/g },
  { cause: 'temporary-name', pattern: /\btmp[._]?[A-Za-z0-9_]{6,10}\b/g },
  { cause: 'addresses', pattern: /\b0x(?:7f|55|56|ffff)[0-9a-f]{6,12}\b/g },
  { cause: 'clock', pattern: /\b(?:19|20)\d\d-[01]\d-[0-3]\d(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d)?)?/g },
  { cause: 'clock', pattern: /\bD:(?:19|20)\d{10,12}/g },
  { cause: 'clock', pattern: /\b(?:19|20)\d\d[/.][01]?\d[/.][0-3]?\d\b/g },
  {
    cause: 'clock',
    pattern: new RegExp(
      `\\b(?:${months})[a-z]* +\\d{1,2},? (?:[\\d:]+ )?(?:[A-Z]{3,4} )?(?:19|20)\\d\\d`,
      'g',
    ),
  },
  { cause: 'clock', pattern: new RegExp(`\\b\\d{1,2}[ -](?:${months})[a-z]*[ -](?:19|20)?\\d\\d`, 'g') },
  { cause: 'clock', pattern: new RegExp(`\\b(?:${months}) +\\d{1,2} [0-2]?\\d:[0-5]\\d`, 'g') },
  { cause: 'clock', pattern: /\b(?:19|20)\d\d[01]\d[0-3]\d(?:T?\d{4,6}Z?)?\b/g },
  { cause: 'clock', pattern: /\b[0-2]\d:[0-5]\d:[0-5]\d(?:\.\d+)?\b/g },
  { cause: 'clock', pattern: /(?<!\d)1[5-9]\d{8}(?:\d{3}|\d{6}|\d{9})?(?!\d)(?:\.\d+)?/g },
  { cause: 'randomness', pattern: /\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{16,}\b/gi },
  { cause: 'randomness', pattern: /[A-Za-z0-9+/]{40,}={0,2}/g },
];

const before = 64;
const after = 160;

/** What the bytes around a difference say about its cause; null when they say nothing. */
export function evidenceAt(
  a: Buffer,
  b: Buffer,
  at: number,
  { hostnames: [oldName, newName], hostPaths }: Circumstances,
): { readonly cause: Cause } | { readonly isArtefact: true } | null {
  const from = Math.max(0, at - before);
  const left = a.toString('latin1', from, at + after);
  const right = b.toString('latin1', from, at + after);
  const offset = at - from;
  if (clockTraces.some((trace) => right.includes(trace) && !left.includes(trace)))
    return { isArtefact: true };
  if (oldName !== newName && left.includes(oldName) && right.includes(newName)) return { cause: 'host-name' };
  if (hostPaths.some((path) => left.includes(path) || right.includes(path))) return { cause: 'store-path' };
  for (const { cause, pattern } of patterns)
    if (covers(left, pattern, offset) && covers(right, pattern, offset)) return { cause };
  return null;
}

/** A match that the difference lies in. */
function covers(text: string, pattern: RegExp, offset: number): boolean {
  for (const match of text.matchAll(pattern))
    if (match.index <= offset && offset < match.index + match[0].length) return true;
  return false;
}
