import { posix } from 'node:path';
import { matchPath } from './path-match.ts';

// .dockerignore is not .gitignore: patterns are anchored at the context's root, case counts, and `!` re-includes
// below an excluded folder. The package `ignore` differs in all three, and `**` glued to a name (`a**`, `**x`) and
// an unescaped `^` have meanings of their own in Docker's matcher, so the translation to a regular expression is ours.

/** One line of an ignore file, compiled. */
export interface Pattern {
  /** As cleaned: no leading `!`, `.`/`..`/`//` resolved. */
  readonly text: string;
  /** `!`: a match brings the path back. */
  readonly negated: boolean;
  /** Place in the list that it was made from, for explanations. */
  readonly index: number;
  matches(path: string): boolean;
}

/** Which patterns matched a folder: handed down to its children, for a pattern that matches a folder covers all below. */
export type MatchState = readonly boolean[];

export interface MatchResult {
  /** True when the last matching pattern excludes. */
  readonly excluded: boolean;
  /** The pattern that decided, if any. */
  readonly by: Pattern | null;
  readonly state: MatchState;
}

/** An ordered list of ignore patterns; the last one that matches a path or a folder above it decides. */
export class PatternMatcher {
  readonly patterns: readonly Pattern[];
  /** True when some pattern re-includes: excluded folders must then be looked into. */
  readonly hasNegation: boolean;

  private constructor(patterns: readonly Pattern[]) {
    this.patterns = patterns;
    this.hasNegation = patterns.some((pattern) => pattern.negated);
  }

  /**
   * @param lines - as `parseIgnoreFile` returns them.
   * @throws {PatternSyntaxError} naming the line, as Docker does ("syntax error in pattern", a lone "!").
   */
  static of(lines: readonly string[]): PatternMatcher {
    return new PatternMatcher(lines.flatMap((line, index) => compile(line, index) ?? []));
  }

  /** Decides for `path` (relative, `/` between components), given what its folder's match said. */
  match(path: string, parent?: MatchState): MatchResult {
    const state: boolean[] = [];
    let by: Pattern | null = null;
    let excluded = false;
    for (const [i, pattern] of this.patterns.entries()) {
      const worthTrying = pattern.negated === excluded;
      const matched = parent?.[i] === true || (worthTrying && pattern.matches(path));
      state.push(matched);
      if (!matched) continue;
      excluded = !pattern.negated;
      by = pattern;
    }
    return { excluded, by, state };
  }

  /** Decides for a path on its own, looking at the folders above it too. */
  excludes(path: string): boolean {
    return this.explain(path).excluded;
  }

  /** As `excludes`, with the pattern that decided. */
  explain(path: string): MatchResult {
    const parts = path.split('/').filter((part) => part !== '');
    let result: MatchResult =
      parts.length === 0 ? this.match(path) : { excluded: false, by: null, state: [] };
    for (let i = 1; i <= parts.length; i++)
      result = this.match(parts.slice(0, i).join('/'), i === 1 ? undefined : result.state);
    return result;
  }

  /** Whether something below the excluded folder `path` could be re-included. */
  mayReinclude(path: string): boolean {
    if (!this.hasNegation) return false;
    const prefix = `${path}/`;
    return this.patterns.some((pattern) => {
      if (!pattern.negated) return false;
      const literal = literalPrefix(pattern.text);
      return `${literal}/`.startsWith(prefix) || prefix.startsWith(literal);
    });
  }
}

/** A pattern that cannot be compiled. `index` is its place in the list. */
export class PatternSyntaxError extends Error {
  readonly pattern: string;
  readonly index: number;
  constructor(pattern: string, index: number, message: string) {
    super(message);
    this.pattern = pattern;
    this.index = index;
  }
}

function compile(line: string, index: number): Pattern | null {
  const trimmed = line.trim();
  if (trimmed === '') return null;
  const cleaned = cleanPath(trimmed);
  const negated = cleaned.startsWith('!');
  const text = negated ? cleaned.slice(1) : cleaned;
  if (text === '') throw new PatternSyntaxError(line, index, 'illegal exclusion pattern: "!"');
  if (matchPath(text, '.') === null) throw new PatternSyntaxError(line, index, 'syntax error in pattern');
  return { text, negated, index, matches: matcherOf(text, line, index) };
}

/** Go's `filepath.Clean`. */
function cleanPath(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function matcherOf(text: string, line: string, index: number): (path: string) => boolean {
  if (!/[*?[\]\\]/.test(text)) return (path) => path === text;
  const stars = text.indexOf('**');
  const rest = stars === 0 ? text.slice(2) : null;
  if (rest !== null && !/[*?[\]\\]/.test(rest)) {
    // `**/x` and `**x`: any path that ends so; `**/x` also matches x itself.
    return (path) => path.endsWith(rest) || (rest.startsWith('/') && path === rest.slice(1));
  }
  if (stars >= 0 && stars === text.length - 2 && !/[*?[\]\\]/.test(text.slice(0, -2))) {
    // `a/**` and `a**`: any path with that prefix.
    const prefix = text.slice(0, -2);
    return (path) => path.startsWith(prefix);
  }
  try {
    const expression = new RegExp(toRegExp(text), 'u');
    return (path) => expression.test(path);
  } catch {
    throw new PatternSyntaxError(line, index, 'syntax error in pattern');
  }
}

/** Docker's translation: `**` and its slash become `(.*\/)?`, `*` `[^/]*`, `?` `[^/]`; classes and `^` stay as they are. */
function toRegExp(text: string): string {
  const characters = [...text];
  let out = '^';
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string;
    if (character === '*' && characters[i + 1] === '*') {
      i++;
      if (characters[i + 1] === '/') i++;
      out += i + 1 >= characters.length ? '.*' : '(?:.*/)?';
    } else if (character === '*') out += '[^/]*';
    else if (character === '?') out += '[^/]';
    else if ('.+()|{}$'.includes(character)) out += `\\${character}`;
    else if (character === '\\') {
      const next = characters[++i];
      if (next !== undefined) out += /[a-zA-Z0-9]/.test(next) ? goEscape(next) : escapeLiteral(next);
    } else if (character === '/') out += '/';
    else out += character;
  }
  return `${out}$`;
}

/** A backslash before a letter reaches Go's regexp, where it may name a class; JavaScript's classes agree on these. */
function goEscape(letter: string): string {
  return /[dDsSwWbB]/.test(letter) ? `\\${letter}` : letter;
}

function escapeLiteral(character: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(character) ? `\\${character}`.replace('\\-', '-') : character;
}

/** The folders of a pattern before its first glob character. */
function literalPrefix(text: string): string {
  const parts = text.split('/');
  const globAt = parts.findIndex((part) => /[*?[\\^]/.test(part));
  return (globAt < 0 ? parts : parts.slice(0, globAt)).join('/');
}
