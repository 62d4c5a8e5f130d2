/**
 * How a flag takes its value. `bool` needs none (`--rm`, `--rm=false`); `list` is repeatable and kept as written;
 * `csv` is repeatable and split at commas as Go's csv reader splits; the others take one value, the last one wins.
 */
export type FlagKind = 'bool' | 'string' | 'list' | 'csv' | 'int' | 'bytes';

/** One flag of a command, declared as data. */
export interface FlagSpec {
  /** Long name without dashes. */
  readonly name: string;
  readonly short?: string;
  readonly kind: FlagKind;
  /** What `--help` says; a hidden flag has none. */
  readonly help?: string;
  /** Word for the value in `--help`; by kind when absent. */
  readonly label?: string;
  /** Shown in `--help`; for `bool` also the value when the flag is absent. */
  readonly default?: string;
}

/** Parsed flags. Asking for a flag that the command does not declare is a mistake of the program. */
export class FlagValues {
  readonly #specs: ReadonlyMap<string, FlagSpec>;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(specs: readonly FlagSpec[], values: ReadonlyMap<string, readonly string[]>) {
    this.#specs = new Map(specs.map((spec) => [spec.name, spec]));
    this.#values = values;
  }

  /** True when the flag was on the command line. */
  has(name: string): boolean {
    this.#spec(name);
    return this.#values.has(name);
  }

  bool(name: string): boolean {
    return (this.#values.get(name)?.at(-1) ?? this.#spec(name).default) === 'true';
  }

  /** The last value, or undefined when the flag is absent. */
  text(name: string): string | undefined {
    this.#spec(name);
    return this.#values.get(name)?.at(-1);
  }

  /** All values in order. */
  list(name: string): readonly string[] {
    this.#spec(name);
    return this.#values.get(name) ?? [];
  }

  int(name: string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }

  #spec(name: string): FlagSpec {
    const spec = this.#specs.get(name);
    if (!spec) throw new Error(`the command has no flag --${name}`);
    return spec;
  }
}
