import { GoDuration, GoMap, GoNil, GoStruct, GoTime, type GoValue, isSlice } from './value.ts';

export interface MarshalOptions {
  /** Blanks per level; one line when absent. */
  readonly indent?: number;
  /** Writes `<`, `>` and `&` as \u003c, \u003e and \u0026. */
  readonly escapeHtml?: boolean;
}

/** JSON as Go's encoder writes it: struct fields in order, map keys sorted, its own choice of escapes. */
export function marshalJson(value: GoValue, options: MarshalOptions = {}): string {
  return write(value, options, 0);
}

function write(value: GoValue, options: MarshalOptions, depth: number): string {
  if (value === undefined || value === null || value instanceof GoNil) return 'null';
  if (typeof value === 'string') return quoteJson(value, options.escapeHtml ?? false);
  if (typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (value instanceof GoTime) return quoteJson(value.rfc3339, false);
  if (value instanceof GoDuration) return String(value.nanoseconds);
  if (isSlice(value))
    return wrap(
      '[]',
      value.map((item) => write(item, options, depth + 1)),
      options,
      depth,
    );
  const inner = value instanceof GoStruct && value.escapesHtml ? { ...options, escapeHtml: true } : options;
  const colon = options.indent ? ': ' : ':';
  const members = (value instanceof GoMap ? value.entries() : structMembers(value)).map(
    ([key, item]) => `${quoteJson(key, inner.escapeHtml ?? false)}${colon}${write(item, inner, depth + 1)}`,
  );
  return wrap('{}', members, options, depth);
}

function wrap(brackets: string, members: readonly string[], options: MarshalOptions, depth: number): string {
  if (members.length === 0) return brackets;
  if (!options.indent) return `${brackets[0]}${members.join(',')}${brackets[1]}`;
  const pad = ' '.repeat(options.indent * (depth + 1));
  const lines = members.map((member) => pad + member).join(',\n');
  return `${brackets[0]}\n${lines}\n${' '.repeat(options.indent * depth)}${brackets[1]}`;
}

function structMembers(struct: GoStruct): readonly (readonly [string, GoValue])[] {
  return struct.fields
    .filter((field) => field.json !== null && !(field.omitEmpty && isEmpty(field.value)))
    .map((field) => [field.json ?? field.name, field.value]);
}

/** What `omitempty` leaves out: zero, empty and nil; a struct never. */
function isEmpty(value: GoValue): boolean {
  if (value instanceof GoStruct || value instanceof GoTime) return false;
  if (value instanceof GoMap) return value.size === 0;
  if (value instanceof GoDuration) return value.nanoseconds === 0;
  if (isSlice(value)) return value.length === 0;
  return !value || value instanceof GoNil;
}

const shortEscapes: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
};

function quoteJson(text: string, escapeHtml: boolean): string {
  const pattern = escapeHtml ? /["\\\x00-\x1f\u2028\u2029<>&]/g : /["\\\x00-\x1f\u2028\u2029]/g;
  const escaped = Buffer.from(text)
    .toString()
    .replace(
      pattern,
      (char) => shortEscapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  return `"${escaped}"`;
}
