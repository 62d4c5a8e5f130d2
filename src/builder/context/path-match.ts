/**
 * Matches a whole path against a pattern as Go's `filepath.Match` does: `*` and `?` do not cross `/`, classes
 * negate with `^` only, `\` escapes. Works on text (one step per code point).
 * @returns null for a malformed pattern (Go's ErrBadPattern)
 */
export function matchPath(pattern: string, name: string): boolean | null {
  return matchFrom([...pattern], [...name]);
}

/** True when a path component holds a glob character that is not escaped (as BuildKit's copier decides). */
export function hasWildcard(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '*' || text[i] === '?' || text[i] === '[') return true;
  }
  return false;
}

function matchFrom(pattern: readonly string[], name: readonly string[]): boolean | null {
  let p = 0;
  let n = 0;
  // Backtracking needs only the last star: an earlier one can always stop at its first match.
  let starPattern = -1;
  let starName = -1;
  for (;;) {
    while (pattern[p] === '*') {
      starPattern = ++p;
      starName = n;
    }
    if (p === pattern.length && n === name.length) return true;
    const step = p < pattern.length ? matchOne(pattern, p, name[n]) : { matched: false, next: p };
    if (step === null) return null;
    if (step.matched && n < name.length) {
      p = step.next;
      n++;
      continue;
    }
    if (starPattern < 0 || starName >= name.length || name[starName] === '/') return checkRest(pattern, p);
    p = starPattern;
    n = ++starName;
  }
}

/** Go reports a malformed pattern even when the name has failed to match before it. */
function checkRest(pattern: readonly string[], from: number): false | null {
  let p = from;
  while (p < pattern.length) {
    if (pattern[p] === '*') {
      p++;
      continue;
    }
    const step = matchOne(pattern, p, undefined);
    if (step === null) return null;
    p = step.next;
  }
  return false;
}

/** One pattern element against one character (undefined: only find the element's end). */
function matchOne(
  pattern: readonly string[],
  at: number,
  character: string | undefined,
): { readonly matched: boolean; readonly next: number } | null {
  const element = pattern[at];
  if (element === '?') return { matched: character !== undefined && character !== '/', next: at + 1 };
  if (element === '[') return matchClass(pattern, at + 1, character);
  if (element !== '\\') return { matched: character === element, next: at + 1 };
  if (at + 1 >= pattern.length) return null;
  return { matched: character === pattern[at + 1], next: at + 2 };
}

function matchClass(
  pattern: readonly string[],
  from: number,
  character: string | undefined,
): { readonly matched: boolean; readonly next: number } | null {
  let p = from;
  const negated = pattern[p] === '^';
  if (negated) p++;
  let inside = false;
  for (let ranges = 0; ; ranges++) {
    if (pattern[p] === ']' && ranges > 0) break;
    const low = classMember(pattern, p);
    if (low === null) return null;
    p = low.next;
    let high = low;
    if (pattern[p] === '-') {
      const end = classMember(pattern, p + 1);
      if (end === null) return null;
      high = end;
      p = end.next;
    }
    if (character !== undefined && inRange(character, low.character, high.character)) inside = true;
  }
  return { matched: character !== undefined && inside !== negated, next: p + 1 };
}

function classMember(
  pattern: readonly string[],
  at: number,
): { readonly character: string; readonly next: number } | null {
  const first = pattern[at];
  if (first === undefined || first === '-' || first === ']') return null;
  const escaped = first === '\\';
  const character = escaped ? pattern[at + 1] : first;
  const next = at + (escaped ? 2 : 1);
  // A class must be closed: the pattern may not end right after a member.
  return character === undefined || next >= pattern.length ? null : { character, next };
}

function inRange(character: string, low: string, high: string): boolean {
  const point = character.codePointAt(0) as number;
  return (low.codePointAt(0) as number) <= point && point <= (high.codePointAt(0) as number);
}
