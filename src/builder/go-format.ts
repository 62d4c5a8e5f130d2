// BuildKit writes histories with Go's fmt verbs; the text is visible in `history` and part of the config, so it is
// reproduced exactly (https://pkg.go.dev/fmt, https://pkg.go.dev/strconv#Quote).

/** `%q` of a string. */
export function quoteGo(text: string): string {
  return `"${[...text].map((character) => (character === '"' ? '\\"' : escapeGo(character))).join('')}"`;
}

/** `%q` of a list of strings: `["a" "b"]`. */
export function quoteGoList(items: readonly string[]): string {
  return `[${items.map(quoteGo).join(' ')}]`;
}

/** `%q` of an integer, which is taken for a rune: `'\x03'`, `'A'`. */
export function quoteGoRune(code: number): string {
  const character = String.fromCodePoint(Math.min(code, 0x10ffff));
  return `'${character === "'" ? "\\'" : escapeGo(character)}'`;
}

const named: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '\\': '\\\\',
};

function escapeGo(character: string): string {
  const short = named[character];
  if (short !== undefined) return short;
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)) return character;
  const code = character.codePointAt(0) as number;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code > 0xffff
    ? `\\U${code.toString(16).padStart(8, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** A `time.Duration` as Go prints it: `1m30s`, `500ms`, `0s`. */
export function formatGoDuration(ns: number): string {
  if (ns === 0) return '0s';
  const sign = ns < 0 ? '-' : '';
  const rest = Math.abs(ns);
  if (rest < 1e3) return `${sign}${rest}ns`;
  if (rest < 1e6) return `${sign}${trimFraction(rest / 1e3, 3)}µs`;
  if (rest < 1e9) return `${sign}${trimFraction(rest / 1e6, 6)}ms`;
  const hours = Math.floor(rest / 3.6e12);
  const minutes = Math.floor((rest % 3.6e12) / 6e10);
  const seconds = `${trimFraction((rest % 6e10) / 1e9, 9)}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}

function trimFraction(value: number, digits: number): string {
  return value.toFixed(digits).replace(/\.?0+$/, '');
}
