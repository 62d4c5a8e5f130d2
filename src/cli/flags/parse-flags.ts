import { parseByteSize } from '../format/human-size.ts';
import { closestName } from './closest-name.ts';
import { type FlagSpec, FlagValues } from './flag-spec.ts';
import { parseCsv } from './parse-csv.ts';

/** A command line that breaks the flag rules; `message` is worded as Docker words it. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
  /** What the user may have meant. */
  readonly suggestion: string | undefined;

  constructor(message: string, suggestion?: string) {
    super(message);
    this.suggestion = suggestion;
  }
}

export interface ParseFlagsOptions {
  /** False: the first argument that is no flag ends the flags (`run IMAGE COMMAND -x`). */
  readonly interspersed?: boolean;
}

export interface ParsedArguments {
  readonly flags: FlagValues;
  readonly args: readonly string[];
  /** `--help` was there. */
  readonly help: boolean;
}

/**
 * Splits arguments into flags and the rest by the rules of Go's pflag: `--name value`, `--name=value`, `-abc`,
 * `-ovalue`, `-o=value`, `--flag=false`, and `--` ends the flags.
 * @throws {FlagError}
 */
export function parseFlags(
  argv: readonly string[],
  specs: readonly FlagSpec[],
  options: ParseFlagsOptions = {},
): ParsedArguments {
  const parser = new FlagParser(argv, specs);
  return parser.parse(options.interspersed ?? true);
}

class FlagParser {
  readonly #argv: readonly string[];
  readonly #specs: readonly FlagSpec[];
  readonly #values = new Map<string, string[]>();
  #position = 0;
  #help = false;

  constructor(argv: readonly string[], specs: readonly FlagSpec[]) {
    this.#argv = argv;
    this.#specs = specs;
  }

  parse(interspersed: boolean): ParsedArguments {
    const args: string[] = [];
    while (this.#position < this.#argv.length) {
      const word = this.#argv[this.#position++] as string;
      if (word === '--') {
        args.push(...this.#argv.slice(this.#position));
        break;
      }
      if (word.startsWith('--')) this.#long(word);
      else if (word.startsWith('-') && word.length > 1) this.#short(word);
      else if (interspersed) args.push(word);
      else {
        args.push(word, ...this.#argv.slice(this.#position));
        break;
      }
    }
    return { flags: new FlagValues(this.#specs, this.#values), args, help: this.#help };
  }

  #long(word: string): void {
    const equals = word.indexOf('=');
    const name = word.slice(2, equals < 0 ? undefined : equals);
    if (name === '' || name.startsWith('-')) throw new FlagError(`bad flag syntax: ${word}`);
    const spec = this.#specs.find((candidate) => candidate.name === name);
    if (!spec) {
      if (name === 'help') {
        this.#help = true;
        return;
      }
      throw this.#unknown(`unknown flag: --${name}`, name);
    }
    if (equals >= 0) this.#store(spec, word.slice(equals + 1));
    else if (spec.kind === 'bool') this.#store(spec, 'true');
    else this.#store(spec, this.#value(`flag needs an argument: --${name}`));
  }

  #short(word: string): void {
    let rest = word.slice(1);
    while (rest !== '') {
      const letter = rest.charAt(0);
      rest = rest.slice(1);
      const spec = this.#specs.find((candidate) => candidate.short === letter);
      if (!spec) {
        if (letter === 'h') {
          this.#help = true;
          return;
        }
        throw this.#unknown(`unknown shorthand flag: '${letter}' in ${word}`, letter);
      }
      if (rest.startsWith('=') && rest.length > 1) {
        this.#store(spec, rest.slice(1));
        return;
      }
      if (spec.kind === 'bool') {
        this.#store(spec, 'true');
        continue;
      }
      this.#store(spec, rest === '' ? this.#value(`flag needs an argument: '${letter}' in ${word}`) : rest);
      return;
    }
  }

  #value(message: string): string {
    const value = this.#argv[this.#position++];
    if (value === undefined) throw new FlagError(message);
    return value;
  }

  #unknown(message: string, name: string): FlagError {
    const names = this.#specs.filter((spec) => spec.help !== undefined).map((spec) => spec.name);
    const near = name.length > 1 ? closestName(name, names) : undefined;
    return new FlagError(message, near && `--${near}`);
  }

  #store(spec: FlagSpec, text: string): void {
    const values = this.#check(spec, text);
    const isRepeatable = spec.kind === 'list' || spec.kind === 'csv';
    this.#values.set(
      spec.name,
      isRepeatable ? [...(this.#values.get(spec.name) ?? []), ...values] : [...values],
    );
  }

  #check(spec: FlagSpec, text: string): readonly string[] {
    switch (spec.kind) {
      case 'bool':
        return [String(this.#boolean(spec, text))];
      case 'int':
        if (!/^[+-]?\d+$/.test(text))
          throw invalidArgument(spec, text, `strconv.ParseInt: parsing "${text}": invalid syntax`);
        return [text];
      case 'bytes':
        if (text !== '-1' && parseByteSize(text) === null)
          throw invalidArgument(spec, text, `invalid size: '${text}'`);
        return [text];
      case 'csv':
        return parseCsv(text);
      default:
        return [text];
    }
  }

  #boolean(spec: FlagSpec, text: string): boolean {
    if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
    if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
    throw invalidArgument(spec, text, `strconv.ParseBool: parsing "${text}": invalid syntax`);
  }
}

/** The error for a value that its flag refuses, worded as pflag words it. */
export function invalidArgument(
  spec: Pick<FlagSpec, 'name' | 'short'>,
  text: string,
  why: string,
): FlagError {
  const name = spec.short ? `-${spec.short}, --${spec.name}` : `--${spec.name}`;
  return new FlagError(`invalid argument "${text}" for "${name}" flag: ${why}`);
}
