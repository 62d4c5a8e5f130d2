import { replacePattern, stripPrefix, stripSuffix } from './shell-pattern.ts';
import { isSpace } from './space.ts';

/** Looks a variable up; undefined means unset. */
export type Lookup = (name: string) => string | undefined;

/** How the lexer treats a text; the defaults are those of an instruction's word. */
export interface ShellWordOptions {
  readonly escape: string;
  readonly lookup: Lookup;
  /** Quotes are ordinary characters (heredoc bodies). */
  readonly ignoreQuotes?: boolean;
  /** Quotes protect, and stay. */
  readonly rawQuotes?: boolean;
  /** Escapes protect, and stay. */
  readonly rawEscapes?: boolean;
  /** What is unset stays as written, instead of becoming empty. */
  readonly keepUnset?: boolean;
}

/** A word cut out of a longer text, with the place it was cut from (end exclusive). */
export interface SplitWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

export interface ShellWordResult {
  readonly text: string;
  readonly words: readonly SplitWord[];
  /** Names looked up and found, in the order of their first use. */
  readonly used: readonly string[];
  /** Names looked up and not set. */
  readonly unset: readonly string[];
}

/** Why a text cannot be expanded, and where in it. */
export class ShellWordError extends Error {
  readonly offset: number;
  readonly length: number;
  /** The variable, when `${name:?message}` asks for one that is not there. */
  readonly required: string | undefined;

  constructor(message: string, place: { offset: number; length: number; required?: string }) {
    super(message);
    this.offset = place.offset;
    this.length = Math.max(1, place.length);
    this.required = place.required;
  }
}

/**
 * Nested `${a:-${b:-…}}` are followed this deep. BuildKit has no limit of its own; a person needs two or three.
 */
const maxDepth = 200;

/**
 * Processes quotes, escapes and variables as BuildKit's shell lexer does, and also splits at blanks outside quotes
 * (after expansion, so that a variable's value may give several words).
 * @throws {ShellWordError}
 */
export function processShellWord(text: string, options: ShellWordOptions): ShellWordResult {
  const lexer = new ShellWordLexer(text, options);
  return lexer.run();
}

/** Words under construction; a word is closed by a blank that is neither quoted nor escaped. */
class WordCollector {
  readonly words: SplitWord[] = [];
  private parts = '';
  private start = -1;

  /** A character that splits when it is a blank. */
  add(character: string, at: number): void {
    if (isSpace(character)) this.close(at);
    else this.addRaw(character, at);
  }

  /** Text that never splits. An empty quoted text does not make a word by itself. */
  addRaw(text: string, at: number): void {
    if (this.start < 0) this.start = at;
    this.parts += text;
  }

  close(at: number): void {
    if (this.parts !== '') this.words.push({ text: this.parts, start: this.start, end: at });
    this.parts = '';
    this.start = -1;
  }
}

class ShellWordLexer {
  private readonly text: string;
  private readonly options: ShellWordOptions;
  private readonly used = new Set<string>();
  private readonly unset = new Set<string>();
  private at = 0;
  private depth = 0;
  private rawEscapes: boolean;

  constructor(text: string, options: ShellWordOptions) {
    this.text = text;
    this.options = options;
    this.rawEscapes = options.rawEscapes ?? false;
  }

  run(): ShellWordResult {
    const collector = new WordCollector();
    const text = this.readUntil('', collector);
    return { text, words: collector.words, used: [...this.used], unset: [...this.unset] };
  }

  /** Reads up to `stop` (consumed), or to the end when `stop` is empty. */
  private readUntil(stop: string, words?: WordCollector): string {
    const opened = this.at;
    let result = '';
    while (this.at < this.text.length) {
      const start = this.at;
      const character = this.peek();
      if (character === stop) {
        this.at += 1;
        return result;
      }
      const special = this.readSpecial(character);
      if (special !== undefined) {
        result += special;
        if (character === '$') for (const one of special) words?.add(one, start);
        else words?.addRaw(special, start);
      } else if (character === this.options.escape) {
        const escaped = this.readEscaped();
        result += escaped;
        if (escaped !== '') words?.addRaw(escaped, start);
      } else {
        this.at += 1;
        result += character;
        words?.add(character, start);
      }
    }
    if (stop !== '') throw this.error(`missing '${stop}'`, opened);
    words?.close(this.at);
    return result;
  }

  private readSpecial(character: string): string | undefined {
    if (character === '$') return this.readDollar();
    if (character === '<') return this.readLessThan();
    if (this.options.ignoreQuotes) return undefined;
    if (character === "'") return this.readSingleQuoted();
    return character === '"' ? this.readDoubleQuoted() : undefined;
  }

  /** Outside quotes an escape makes any character plain; at the end of the text it vanishes. */
  private readEscaped(): string {
    const character = this.take();
    const kept = this.rawEscapes ? character : '';
    return kept + this.take();
  }

  private readSingleQuoted(): string {
    const start = this.at;
    const end = this.text.indexOf("'", start + 1);
    this.at = end < 0 ? this.text.length : end + 1;
    if (end < 0) throw this.error('the single quote is not closed', start);
    return this.options.rawQuotes ? this.text.slice(start, this.at) : this.text.slice(start + 1, end);
  }

  private readDoubleQuoted(): string {
    const start = this.at;
    let result = this.options.rawQuotes ? '"' : '';
    this.at += 1;
    while (this.at < this.text.length) {
      const character = this.peek();
      if (character === '"') {
        this.at += 1;
        return this.options.rawQuotes ? `${result}"` : result;
      }
      if (character === '$') result += this.readDollar();
      else if (character === this.options.escape) result += this.readEscapedInQuotes();
      else result += this.take();
    }
    throw this.error('the double quote is not closed', start);
  }

  /** Between double quotes an escape only works on `"`, `$` and itself; else both characters stay. */
  private readEscapedInQuotes(): string {
    const character = this.take();
    const kept = this.rawEscapes ? character : '';
    if (this.at >= this.text.length) return kept;
    const next = this.peek();
    if (next !== '"' && next !== '$' && next !== character) return kept + character;
    return kept + this.take();
  }

  /** `<<` takes the blanks after it along, so that `<< EOF` is one word. */
  private readLessThan(): string {
    const start = this.at;
    this.at += 1;
    if (this.peek() !== '<') return '<';
    this.at += 1;
    while (this.peek() === ' ' || this.peek() === '\t' || this.peek() === '\r') this.at += 1;
    return this.text.slice(start, this.at);
  }

  private readDollar(): string {
    const start = this.at;
    this.at += 1;
    if (this.peek() !== '{') {
      const name = this.readName();
      if (name === '') return '$';
      const value = this.look(name);
      return value === undefined && this.options.keepUnset ? `$${name}` : (value ?? '');
    }
    this.at += 1;
    this.depth += 1;
    if (this.depth > maxDepth) throw this.error('substitutions are nested too deeply', start);
    const result = this.readBraces(start);
    this.depth -= 1;
    return result;
  }

  /** What follows `${`. */
  private readBraces(start: number): string {
    const first = this.peek();
    if (first === '') throw this.error("missing '}'", start);
    if (first === '{' || first === '}' || first === ':') throw this.bad(start);
    const name = this.readName();
    const operator = this.takeCodePoint();
    if (operator === '}') {
      const value = this.look(name);
      return value === undefined && this.options.keepUnset ? `\${${name}}` : (value ?? '');
    }
    if (operator === '/') return this.readReplacement(start, name);
    if (operator === ':')
      return this.readModifier(start, name, { colon: ':', operator: this.takeCodePoint() });
    if ('+-?#%'.includes(operator) && operator !== '')
      return this.readModifier(start, name, { colon: '', operator });
    throw this.unsupported(start, operator);
  }

  private readModifier(
    start: number,
    name: string,
    { colon, operator }: { colon: string; operator: string },
  ): string {
    const strips = operator === '#' || operator === '%';
    if (colon !== '' && strips) throw this.unsupported(start, colon + operator);
    const word = this.readOperand('}', start, strips);
    const value = this.look(name);
    if (value === undefined && this.options.keepUnset) return `\${${name}${colon}${operator}${word}}`;
    const isAbsent = value === undefined || (colon !== '' && value === '');
    switch (operator) {
      case '-':
        return isAbsent ? word : value;
      case '+':
        return isAbsent ? '' : word;
      case '?':
        if (!isAbsent) return value;
        throw this.required(
          start,
          name,
          word || `is not allowed to be ${value === undefined ? 'unset' : 'empty'}`,
        );
      case '#':
      case '%':
        return this.strip(start, { value: value ?? '', word, operator });
      default:
        throw this.unsupported(start, colon + operator);
    }
  }

  /** A doubled `#` or `%` takes the longest match. */
  private strip(
    start: number,
    { value, word, operator }: { value: string; word: string; operator: string },
  ): string {
    const longest = word.startsWith(operator);
    const pattern = longest ? word.slice(1) : word;
    return this.withPattern(start, pattern, () =>
      operator === '#' ? stripPrefix(value, pattern, longest) : stripSuffix(value, pattern, longest),
    );
  }

  private readReplacement(start: number, name: string): string {
    const all = this.peek() === '/';
    if (all) this.at += 1;
    const pattern = this.readOperand('/', start, true);
    const replacement = this.readOperand('}', start, true);
    const value = this.look(name);
    if (value === undefined && this.options.keepUnset) return `\${${name}/${pattern}/${replacement}}`;
    return this.withPattern(start, pattern, () => replacePattern(value ?? '', pattern, { replacement, all }));
  }

  private withPattern(start: number, pattern: string, apply: () => string): string {
    try {
      return apply();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw this.error(`the pattern "${pattern}" is invalid: ${error.message}`, start);
    }
  }

  /** The word of a modifier; its end missing is a fault of the whole substitution. */
  private readOperand(stop: string, start: number, rawEscapes: boolean): string {
    const outer = this.rawEscapes;
    this.rawEscapes = rawEscapes;
    try {
      return this.readUntil(stop);
    } catch (error) {
      const isEnd =
        error instanceof ShellWordError && this.at >= this.text.length && error.required === undefined;
      throw isEnd ? this.error(error.message, Math.min(start, error.offset)) : error;
    } finally {
      this.rawEscapes = outer;
    }
  }

  /** Letters, digits and `_`; or a run of digits; or one special character. Empty when there is no name. */
  private readName(): string {
    const start = this.at;
    let name = '';
    while (this.at < this.text.length) {
      const character = this.peekCodePoint();
      if (name === '' && isDigit(character)) {
        while (isDigit(this.peekCodePoint())) this.takeCodePoint();
        return this.text.slice(start, this.at);
      }
      if (name === '' && '@*#?-$!'.includes(character)) return this.take();
      if (!isNameCharacter(character)) break;
      name += this.takeCodePoint();
    }
    return name;
  }

  private look(name: string): string | undefined {
    const value = this.options.lookup(name);
    (value === undefined ? this.unset : this.used).add(name);
    return value;
  }

  private peek(): string {
    return this.text.charAt(this.at);
  }

  private take(): string {
    const character = this.peek();
    this.at += character.length;
    return character;
  }

  private peekCodePoint(): string {
    const code = this.text.codePointAt(this.at);
    return code === undefined ? '' : String.fromCodePoint(code);
  }

  private takeCodePoint(): string {
    const character = this.peekCodePoint();
    this.at += character.length;
    return character;
  }

  private error(message: string, offset: number): ShellWordError {
    return new ShellWordError(message, { offset, length: this.at - offset });
  }

  private bad(start: number): ShellWordError {
    return this.error('a variable name must follow "${"', start);
  }

  private unsupported(start: number, modifier: string): ShellWordError {
    if (modifier === '' || modifier === ':') return this.error("missing '}'", start);
    return this.error(`unsupported modifier "${modifier}"`, start);
  }

  private required(start: number, name: string, message: string): ShellWordError {
    return new ShellWordError(`${name}: ${message}`, {
      offset: start,
      length: this.at - start,
      required: name,
    });
  }
}

function isDigit(character: string): boolean {
  return character !== '' && /^\p{Nd}/u.test(character);
}

function isNameCharacter(character: string): boolean {
  return character !== '' && /^[\p{L}\p{Nd}_]/u.test(character);
}
