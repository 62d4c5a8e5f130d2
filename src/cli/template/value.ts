/**
 * Values as Go's text/template sees them. JavaScript's own values stand for Go's simple ones: strings, booleans,
 * numbers (int when integral, else float64), arrays (slices) and null (a nil interface). `undefined` is Go's
 * invalid value, which prints as `<no value>`. Maps, structs, nil slices, times and durations have classes.
 */
export type GoValue =
  | undefined
  | null
  | string
  | boolean
  | number
  | readonly GoValue[]
  | GoMap
  | GoStruct
  | GoNil
  | GoTime
  | GoDuration;

/** A Go map with string keys; iterated, printed and marshalled in byte order of the keys. */
export class GoMap {
  /** What `index` yields for a missing key: the element type's zero value. */
  readonly zero: GoValue;
  readonly #entries: ReadonlyMap<string, GoValue>;
  /** Go's name of the type, for messages: `map[string]string`. */
  readonly typeName: string;

  constructor(
    entries: Iterable<readonly [string, GoValue]>,
    options: { readonly zero?: GoValue; readonly typeName?: string } = {},
  ) {
    this.#entries = new Map([...entries].sort(([a], [b]) => compareBytes(a, b)));
    this.zero = options.zero;
    this.typeName = options.typeName ?? 'map[string]interface {}';
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  get(key: string): GoValue {
    return this.#entries.get(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  entries(): readonly (readonly [string, GoValue])[] {
    return [...this.#entries];
  }
}

/** A nil slice, map or pointer: prints as `[]`, `map[]` or `<nil>`, marshals as `null`. */
export class GoNil {
  readonly kind: 'slice' | 'map' | 'pointer';
  readonly typeName: string;
  readonly zero: GoValue;

  constructor(kind: 'slice' | 'map' | 'pointer', typeName: string, zero?: GoValue) {
    this.kind = kind;
    this.typeName = typeName;
    this.zero = zero;
  }
}

export interface GoField {
  /** Go's field name: what templates use. */
  readonly name: string;
  /** Key in JSON; `name` when absent; never marshalled when null. */
  readonly json?: string | null;
  readonly value: GoValue;
  /** Left out of JSON when the value is empty. */
  readonly omitEmpty?: boolean;
}

/** A Go struct: fields in order, `can't evaluate field` for any other. */
export class GoStruct {
  readonly typeName: string;
  readonly fields: readonly GoField[];
  /** Marshals itself with `<`, `>` and `&` escaped, whatever the encoder says (json.Marshal inside MarshalJSON). */
  readonly escapesHtml: boolean;
  readonly #byName: ReadonlyMap<string, GoValue>;

  constructor(
    typeName: string,
    fields: readonly GoField[],
    options: { readonly escapesHtml?: boolean } = {},
  ) {
    this.typeName = typeName;
    this.fields = fields;
    this.escapesHtml = options.escapesHtml ?? false;
    this.#byName = new Map(fields.map((field) => [field.name, field.value]));
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  get(name: string): GoValue {
    return this.#byName.get(name);
  }
}

/** A time.Time in UTC. */
export class GoTime {
  readonly rfc3339: string;

  /** @param rfc3339 - in UTC (`Z`), up to nanoseconds. */
  constructor(rfc3339: string) {
    this.rfc3339 = rfc3339;
  }

  /** As Go prints it: `2026-11-24 16:08:08.7671753 +0000 UTC`. */
  toString(): string {
    return `${this.rfc3339.replace('T', ' ').replace('Z', '')} +0000 UTC`;
  }
}

/** A time.Duration in nanoseconds. */
export class GoDuration {
  readonly nanoseconds: number;

  constructor(nanoseconds: number) {
    this.nanoseconds = nanoseconds;
  }

  /** As Go prints it: `1h0m5s`, `1.5s`, `300ms`, `0s`. */
  toString(): string {
    const total = Math.abs(this.nanoseconds);
    const sign = this.nanoseconds < 0 ? '-' : '';
    if (total === 0) return '0s';
    if (total < 1e3) return `${sign}${total}ns`;
    if (total < 1e6) return `${sign}${total / 1e3}µs`;
    if (total < 1e9) return `${sign}${total / 1e6}ms`;
    const hours = Math.floor(total / 3_600e9);
    const minutes = Math.floor(total / 60e9) % 60;
    const seconds = (total % 60e9) / 1e9;
    return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
  }
}

/** A `[]string`; absent is nil. */
export function stringSlice(items: readonly string[] | undefined): GoValue {
  return items ?? new GoNil('slice', '[]string');
}

/** A `map[string]string`; absent is nil. */
export function stringMap(map: Readonly<Record<string, string>> | undefined): GoValue {
  const typeName = 'map[string]string';
  return map === undefined
    ? new GoNil('map', typeName, '')
    : new GoMap(Object.entries(map), { zero: '', typeName });
}

/** A `map[string]struct{}` with the given keys; absent is nil. */
export function keySet(
  map: Readonly<Record<string, unknown>> | undefined,
  typeName = 'map[string]struct {}',
): GoValue {
  const empty = new GoStruct('struct {}', []);
  return map === undefined
    ? new GoNil('map', typeName, empty)
    : new GoMap(
        Object.keys(map).map((key) => [key, empty]),
        { zero: empty, typeName },
      );
}

/** Go's name of a value's type, for messages. */
export function typeNameOf(value: GoValue): string {
  if (value === undefined || value === null) return 'interface {}';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float64';
  if (Array.isArray(value))
    return value.every((item) => typeof item === 'string') ? '[]string' : '[]interface {}';
  if (value instanceof GoTime) return 'time.Time';
  if (value instanceof GoDuration) return 'time.Duration';
  return (value as GoMap | GoStruct | GoNil).typeName;
}

/** True for an array, typed for `readonly GoValue[]`. */
export function isSlice(value: GoValue): value is readonly GoValue[] {
  return Array.isArray(value);
}

/** Go's truth: non-zero, non-empty, non-nil; structs are always true, the invalid value never. */
export function isTruthy(value: GoValue): boolean {
  if (value === undefined || value === null || value instanceof GoNil) return false;
  if (isSlice(value)) return value.length > 0;
  if (value instanceof GoMap) return value.size > 0;
  if (value instanceof GoDuration) return value.nanoseconds !== 0;
  if (value instanceof GoStruct || value instanceof GoTime) return true;
  return Boolean(value);
}

/** Order of two strings by their UTF-8 bytes. */
export function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}
