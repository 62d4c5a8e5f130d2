/** Unicode's White_Space characters, as the inside of a regular expression's class: Go's `unicode.IsSpace`. */
export const spaceClass = '\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** What separates a keyword from its arguments and unquoted words from each other; narrower than `spaceClass`. */
export const blankClass = '\\t\\v\\f\\r ';

const space = new RegExp(`[${spaceClass}]`);

/** True for one character of Unicode's White_Space. */
export function isSpace(character: string): boolean {
  return character <= ' ' ? /[\t-\r ]/.test(character) : character >= '\u0085' && space.test(character);
}

/** Index of the first character at or after `from` that is no space. */
export function skipSpace(text: string, from = 0): number {
  let at = from;
  while (at < text.length && isSpace(text.charAt(at))) at += 1;
  return at;
}

/** Index just behind the last character that is no space; at least `from`. */
export function lastNonSpace(text: string, from = 0): number {
  let end = text.length;
  while (end > from && isSpace(text.charAt(end - 1))) end -= 1;
  return end;
}

/** The text without outer spaces. */
export function trimSpace(text: string): string {
  const start = skipSpace(text);
  return text.slice(start, lastNonSpace(text, start));
}
