/** Edits by which a suggestion may differ from what was written (BuildKit's measure). */
const maxDistance = 2;

/**
 * The option most like `word`, for "did you mean"; undefined when none is near or one is equal.
 * @param ignoreCase - compare without case, and answer in the case of `word`.
 */
export function suggest(word: string, options: Iterable<string>, ignoreCase = false): string | undefined {
  const wanted = ignoreCase ? word.toLowerCase() : word;
  let best: string | undefined;
  let bestDistance = maxDistance + 1;
  for (const option of options) {
    const candidate = ignoreCase ? option.toLowerCase() : option;
    if (candidate === wanted) return undefined;
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, candidate);
    if (distance >= bestDistance) continue;
    bestDistance = distance;
    best = ignoreCase && word === word.toUpperCase() ? option.toUpperCase() : candidate;
  }
  return best;
}

/** Levenshtein's distance: insertions, deletions and substitutions. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const substitution = row[j - 1]! + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[right.length]!;
}
