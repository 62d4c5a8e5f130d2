// The patterns of ${name#pattern}, ${name%pattern} and ${name/pattern/replacement}: `*`, `?` and escapes, no brackets.
// Matching is by search with remembered dead ends, so that no pattern makes it slower than length times length.

type Element =
  | { readonly kind: 'one' }
  | { readonly kind: 'many' }
  | { readonly kind: 'literal'; readonly character: string };

interface Match {
  readonly start: number;
  readonly end: number;
}

/** Removes the shortest or longest prefix that matches. @throws {RangeError} for an invalid pattern */
export function stripPrefix(value: string, pattern: string, longest: boolean): string {
  const characters = Array.from(value);
  const match = matchAt(characters, { elements: parsePattern(pattern), greedy: longest }, 0, new Set());
  return match === undefined ? value : characters.slice(match.end).join('');
}

/** Removes the shortest or longest suffix that matches. @throws {RangeError} for an invalid pattern */
export function stripSuffix(value: string, pattern: string, longest: boolean): string {
  const characters = Array.from(value).reverse();
  const elements = [...parsePattern(pattern)].reverse();
  const match = matchAt(characters, { elements, greedy: longest }, 0, new Set());
  return match === undefined ? value : characters.slice(match.end).reverse().join('');
}

/**
 * Replaces the first or every match; `*` takes as much as it can. In a replacement of all matches, `$0` is the
 * matched text, `$$` a dollar and any other `$name` empty (BuildKit replaces with Go's regexp templates).
 * @throws {RangeError} for an invalid pattern
 */
export function replacePattern(
  value: string,
  pattern: string,
  { replacement, all }: { replacement: string; all: boolean },
): string {
  const characters = Array.from(value);
  const matcher = { elements: parsePattern(pattern), greedy: true };
  const result: string[] = [];
  let copied = 0;
  let from = 0;
  while (from <= characters.length) {
    const match = findMatch(characters, matcher, from);
    if (match === undefined) break;
    // As in Go, an empty match right behind the last one does not count.
    const isRepeat = match.end === match.start && match.start === copied && copied > 0;
    result.push(...characters.slice(copied, match.start));
    if (!isRepeat) {
      const matched = characters.slice(match.start, match.end).join('');
      result.push(all ? fillTemplate(replacement, matched) : replacement);
    }
    copied = match.end;
    from = match.end > match.start ? match.end : match.end + 1;
    if (!all) break;
  }
  result.push(...characters.slice(copied));
  return result.join('');
}

interface Matcher {
  readonly elements: readonly Element[];
  /** Whether `*` takes as much or as little as it can. */
  readonly greedy: boolean;
}

function parsePattern(pattern: string): Element[] {
  const elements: Element[] = [];
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at]!;
    if (character === '*') elements.push({ kind: 'many' });
    else if (character === '?') elements.push({ kind: 'one' });
    else if (character !== '\\') elements.push({ kind: 'literal', character });
    else {
      const escaped = characters[at + 1] ?? '';
      // `}` and `/` are escaped only to get them past the substitution's own syntax.
      if (escaped === '}' || escaped === '/') continue;
      if (escaped === '' || !'*?\\'.includes(escaped)) throw new RangeError(`"\\${escaped}" is no escape`);
      elements.push({ kind: 'literal', character: escaped });
      at += 1;
    }
  }
  return elements;
}

function findMatch(characters: readonly string[], matcher: Matcher, from: number): Match | undefined {
  const deadEnds = new Set<number>();
  for (let start = from; start <= characters.length; start += 1) {
    const match = matchAt(characters, matcher, start, deadEnds);
    if (match !== undefined) return match;
  }
  return undefined;
}

/** Depth-first with the preferred way first: the match that a backtracking regular expression would find. */
function matchAt(
  characters: readonly string[],
  { elements, greedy }: Matcher,
  start: number,
  deadEnds: Set<number>,
): Match | undefined {
  const width = elements.length + 1;
  const stack = [start * width];
  while (stack.length > 0) {
    const state = stack.pop()!;
    if (deadEnds.has(state)) continue;
    deadEnds.add(state);
    const at = Math.floor(state / width);
    const index = state % width;
    const element = elements[index];
    if (element === undefined) return { start, end: at };
    const character = characters[at];
    const isMatch =
      character !== undefined &&
      (element.kind === 'literal' ? character === element.character : character !== '\n');
    if (element.kind !== 'many') {
      if (isMatch) stack.push(state + width + 1);
    } else if (greedy) {
      stack.push(state + 1);
      if (isMatch) stack.push(state + width);
    } else {
      if (isMatch) stack.push(state + width);
      stack.push(state + 1);
    }
  }
  return undefined;
}

function fillTemplate(template: string, matched: string): string {
  return template.replace(/\$(?:\$|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu, (whole, braced, plain) => {
    if (whole === '$$') return '$';
    return /^0+$/.test(braced ?? plain) ? matched : '';
  });
}
