import { marshalJson } from './marshal-json.ts';
import { formatValue, sprint, sprintf, sprintln } from './print-value.ts';
import {
  compareBytes,
  GoDuration,
  GoMap,
  GoNil,
  GoStruct,
  GoTime,
  type GoValue,
  isSlice,
  isTruthy,
  typeNameOf,
} from './value.ts';

/** What a function accepts: checked before the call, worded as Go words it. */
export type ArgumentType = 'any' | 'string' | 'int' | '[]string';

export interface TemplateFunction {
  readonly args: readonly ArgumentType[];
  /** Further arguments of this type are welcome. */
  readonly rest?: ArgumentType;
  /** @throws {Error} shown as `error calling NAME: message` */
  readonly call: (...args: GoValue[]) => GoValue;
}

export type FunctionTable = ReadonlyMap<string, TemplateFunction>;

function text(call: (value: string) => string): TemplateFunction {
  return { args: ['string'], call: (value) => call(value as string) };
}

const builtins: readonly (readonly [string, TemplateFunction])[] = [
  ['index', { args: ['any'], rest: 'any', call: index }],
  ['slice', { args: ['any'], rest: 'any', call: slice }],
  ['len', { args: ['any'], call: length }],
  ['not', { args: ['any'], call: (value) => !isTruthy(value) }],
  ['print', { args: [], rest: 'any', call: (...values) => sprint(values) }],
  [
    'printf',
    { args: ['string'], rest: 'any', call: (format, ...values) => sprintf(format as string, values) },
  ],
  ['println', { args: [], rest: 'any', call: (...values) => sprintln(values) }],
  ['html', { args: [], rest: 'any', call: (...values) => escapeHtml(joined(values)) }],
  ['js', { args: [], rest: 'any', call: (...values) => escapeJs(joined(values)) }],
  [
    'urlquery',
    { args: [], rest: 'any', call: (...values) => encodeURIComponent(joined(values)).replace(/%20/g, '+') },
  ],
  ['eq', { args: ['any'], rest: 'any', call: equal }],
  ['ne', { args: ['any', 'any'], call: (a, b) => !equal(a, b) }],
  ['lt', { args: ['any', 'any'], call: (a, b) => order(a, b) < 0 }],
  ['le', { args: ['any', 'any'], call: (a, b) => order(a, b) <= 0 }],
  ['gt', { args: ['any', 'any'], call: (a, b) => order(a, b) > 0 }],
  ['ge', { args: ['any', 'any'], call: (a, b) => order(a, b) >= 0 }],
  // `and` and `or` are evaluated lazily (evaluate-template.ts); they stand here to be known.
  ['and', { args: ['any'], rest: 'any', call: (...values) => values.at(-1) }],
  ['or', { args: ['any'], rest: 'any', call: (...values) => values.at(-1) }],
];

/** Go's own functions and those that Docker adds to every format. */
export const formatFunctions: FunctionTable = new Map<string, TemplateFunction>([
  ...builtins,
  ['json', { args: ['any'], call: (value) => marshalJson(value) }],
  [
    'split',
    {
      args: ['string', 'string'],
      call: (value, separator) => splitText(value as string, separator as string),
    },
  ],
  [
    'join',
    {
      args: ['[]string', 'string'],
      call: (items, separator) => (isSlice(items) ? items : []).join(separator as string),
    },
  ],
  [
    'title',
    text((value) =>
      value.replace(
        /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      ),
    ),
  ],
  ['lower', text((value) => value.toLowerCase())],
  ['upper', text((value) => value.toUpperCase())],
  [
    'pad',
    {
      args: ['string', 'int', 'int'],
      call: (value, left, right) =>
        value === '' ? '' : ' '.repeat(Number(left)) + String(value) + ' '.repeat(Number(right)),
    },
  ],
  [
    'truncate',
    {
      args: ['string', 'int'],
      call: (value, size) =>
        Buffer.from(value as string)
          .subarray(0, size as number)
          .toString(),
    },
  ],
]);

/** Functions for the header line of a table: those that would spoil a column's name leave it alone. */
export const headerFunctions: FunctionTable = new Map<string, TemplateFunction>([
  ...formatFunctions,
  ...['json', 'title', 'lower', 'upper'].map((name) => [name, text((value) => value)] as const),
  ['split', { args: ['string', 'string'], call: (value) => value }],
  ['join', { args: ['string', 'string'], call: (value) => value }],
  ['truncate', { args: ['string', 'int'], call: (value) => value }],
]);

function joined(values: readonly GoValue[]): string {
  return values.length === 1 && typeof values[0] === 'string' ? values[0] : sprint(values);
}

function escapeHtml(value: string): string {
  const entities: Readonly<Record<string, string>> = {
    '"': '&#34;',
    "'": '&#39;',
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
  };
  return value.replace(/["'&<>]/g, (char) => entities[char] as string);
}

function escapeJs(value: string): string {
  return value.replace(/[\\'"<>&=\x00-\x1f]/g, (char) =>
    /[\\'"]/.test(char)
      ? `\\${char}`
      : `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`,
  );
}

function splitText(value: string, separator: string): GoValue {
  return separator === '' ? [...value] : value.split(separator);
}

function length(value: GoValue): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (isSlice(value)) return value.length;
  if (value instanceof GoMap) return value.size;
  if (value instanceof GoNil && value.kind !== 'pointer') return 0;
  if (value === undefined || value === null) throw new Error('len of untyped nil');
  if (value instanceof GoNil) throw new Error('len of nil pointer');
  throw new Error(`len of type ${typeNameOf(value)}`);
}

function index(value: GoValue, ...keys: GoValue[]): GoValue {
  let item = value;
  if (item === undefined || item === null) throw new Error('index of untyped nil');
  for (const key of keys) {
    if (item instanceof GoNil && item.kind === 'map') item = item.zero;
    else if (item instanceof GoMap) item = mapIndex(item, key);
    else if (isSlice(item) || typeof item === 'string') item = sliceIndex(item, key);
    else if (item instanceof GoNil && item.kind === 'slice') item = sliceIndex([], key);
    else if (item === undefined || item === null || item instanceof GoNil)
      throw new Error('index of nil pointer');
    else throw new Error(`can't index item of type ${typeNameOf(item)}`);
  }
  return item;
}

function mapIndex(map: GoMap, key: GoValue): GoValue {
  if (typeof key !== 'string') throw new Error(`value has type ${typeNameOf(key)}; should be string`);
  return map.has(key) ? map.get(key) : map.zero;
}

function sliceIndex(list: readonly GoValue[] | string, key: GoValue): GoValue {
  const items = typeof list === 'string' ? [...Buffer.from(list)] : list;
  const at = checkIndex(key, items.length - 1);
  return items[at];
}

function checkIndex(key: GoValue, last: number): number {
  if (typeof key !== 'number' || !Number.isInteger(key))
    throw new Error(
      key === undefined || key === null
        ? 'cannot index slice/array with nil'
        : `cannot index slice/array with type ${typeNameOf(key)}`,
    );
  if (key < 0 || key > last) throw new Error(`index out of range: ${key}`);
  return key;
}

function slice(value: GoValue, ...bounds: GoValue[]): GoValue {
  const isText = typeof value === 'string';
  if (!isText && !isSlice(value)) {
    if (value === undefined || value === null) throw new Error('slice of untyped nil');
    if (!(value instanceof GoNil)) throw new Error(`can't slice item of type ${typeNameOf(value)}`);
  }
  if (bounds.length > 3) throw new Error(`too many slice indexes: ${bounds.length}`);
  if (isText && bounds.length === 3) throw new Error('cannot 3-index slice a string');
  const items = isText ? Buffer.from(value) : isSlice(value) ? value : [];
  const [from = 0, to = items.length] = bounds.map((bound) => checkIndex(bound, items.length));
  if (from > to) throw new Error(`invalid slice index: ${from} > ${to}`);
  return isText
    ? Buffer.from(value).subarray(from, to).toString()
    : (items.slice(from, to) as readonly GoValue[]);
}

type Kind = 'bool' | 'int' | 'float' | 'string';

function basicKind(value: GoValue): Kind | null {
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float';
  if (value instanceof GoDuration) return 'int';
  return null;
}

function equal(first: GoValue, ...others: GoValue[]): boolean {
  if (others.length === 0) throw new Error('missing argument for comparison');
  return others.some((other) => equalPair(first, other));
}

function equalPair(a: GoValue, b: GoValue): boolean {
  const isNil = (value: GoValue): boolean => value === undefined || value === null || value instanceof GoNil;
  if (isNil(a) || isNil(b)) return isNil(a) && isNil(b);
  const [kindA, kindB] = [basicKind(a), basicKind(b)];
  if (kindA !== kindB) throw incompatible(a, b);
  if (kindA === null || kindB === null) {
    const odd = kindA === null ? a : b;
    if (odd instanceof GoStruct || odd instanceof GoTime) return a === b;
    throw new Error(`non-comparable type ${formatValue(odd)}: ${typeNameOf(odd)}`);
  }
  return comparable(a) === comparable(b);
}

function order(a: GoValue, b: GoValue): number {
  const [kindA, kindB] = [basicKind(a), basicKind(b)];
  if (kindA === null || kindB === null || kindA === 'bool' || kindB === 'bool')
    throw new Error('invalid type for comparison');
  if (kindA !== kindB) throw incompatible(a, b);
  if (kindA === 'string') return compareBytes(a as string, b as string);
  return Number(comparable(a)) - Number(comparable(b));
}

function comparable(value: GoValue): GoValue {
  return value instanceof GoDuration ? value.nanoseconds : value;
}

function incompatible(a: GoValue, b: GoValue): Error {
  return new Error(`incompatible types for comparison: ${typeNameOf(a)} and ${typeNameOf(b)}`);
}
