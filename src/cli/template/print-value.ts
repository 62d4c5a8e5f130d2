import { GoDuration, GoMap, GoNil, GoStruct, GoTime, type GoValue, isSlice, typeNameOf } from './value.ts';

/** What an action prints: Go's `%v`, and `<no value>` for the invalid value and for nil. */
export function printValue(value: GoValue): string {
  return value === undefined || value === null ? '<no value>' : formatValue(value);
}

/** Go's `%v`: slices as `[a b]`, maps as `map[k:v]`, structs as `{a b}`, nil as `<nil>`. */
export function formatValue(value: GoValue): string {
  if (value === undefined || value === null) return '<nil>';
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return formatNumber(value);
  if (typeof value === 'boolean') return String(value);
  if (isSlice(value)) return `[${value.map(formatValue).join(' ')}]`;
  if (value instanceof GoMap)
    return `map[${value
      .entries()
      .map(([key, item]) => `${key}:${formatValue(item)}`)
      .join(' ')}]`;
  if (value instanceof GoNil) return value.kind === 'slice' ? '[]' : value.kind === 'map' ? 'map[]' : '<nil>';
  if (value instanceof GoStruct)
    return `{${value.fields.map((field) => formatValue(field.value)).join(' ')}}`;
  return value.toString();
}

/** `%v` of a number: shortest form, with an exponent of two digits from 1e21 or below 1e-4. */
function formatNumber(value: number): string {
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
  const magnitude = Math.abs(value);
  if (magnitude >= 1e-4 && magnitude < 1e21) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, 'e$10$2');
}

/** Go's fmt.Sprint: operands next to each other, a blank between two that are not strings. */
export function sprint(values: readonly GoValue[]): string {
  let text = '';
  values.forEach((value, index) => {
    if (index > 0 && typeof value !== 'string' && typeof values[index - 1] !== 'string') text += ' ';
    text += formatValue(value);
  });
  return text;
}

/** Go's fmt.Sprintln: a blank between all operands and a line end. */
export function sprintln(values: readonly GoValue[]): string {
  return `${values.map(formatValue).join(' ')}\n`;
}

const verbPattern = /%([-+# 0]*)(\d+|\*)?(?:\.(\d+|\*)?)?(.)?/gsu;

/** Go's fmt.Sprintf for the verbs v s q d t x X o b c e f g and %; mistakes are marked as Go marks them. */
export function sprintf(format: string, values: readonly GoValue[]): string {
  let next = 0;
  let text = format.replace(
    verbPattern,
    (whole, flags: string, width?: string, precision?: string, verb?: string) => {
      if (verb === undefined) return '%!(NOVERB)';
      if (verb === '%') return '%';
      const widthNumber =
        width === '*' ? Number(values[next++]) : width === undefined ? undefined : Number(width);
      const hasPrecision = whole.includes('.');
      const digits =
        precision === '*' ? Number(values[next++]) : hasPrecision ? Number(precision ?? 0) : undefined;
      if (next >= values.length) return `%!${verb}(MISSING)`;
      const body = formatVerb(verb, flags, digits, values[next++]);
      return pad(body, widthNumber, flags);
    },
  );
  if (next < values.length)
    text += `%!(EXTRA ${values
      .slice(next)
      .map((value) => `${typeNameOf(value)}=${formatValue(value)}`)
      .join(', ')})`;
  return text;
}

function pad(body: string, width: number | undefined, flags: string): string {
  const missing = (width ?? 0) - [...body].length;
  if (missing <= 0) return body;
  if (flags.includes('-')) return body + ' '.repeat(missing);
  if (!flags.includes('0')) return ' '.repeat(missing) + body;
  const sign = /^[+-]/.exec(body)?.[0] ?? '';
  return sign + '0'.repeat(missing) + body.slice(sign.length);
}

function formatVerb(verb: string, flags: string, digits: number | undefined, value: GoValue): string {
  if (verb === 'v')
    return flags.includes('#') && typeof value === 'string' ? quoteGo(value) : formatValue(value);
  if (isSlice(value)) return `[${value.map((item) => formatVerb(verb, flags, digits, item)).join(' ')}]`;
  const formatted =
    typeof value === 'string'
      ? stringVerb(verb, digits, value)
      : typeof value === 'number'
        ? numberVerb(verb, flags, digits, value)
        : typeof value === 'boolean'
          ? verb === 't'
            ? String(value)
            : null
          : (value instanceof GoTime || value instanceof GoDuration || value instanceof GoMap) && verb === 's'
            ? formatValue(value)
            : null;
  if (formatted !== null) return formatted;
  return value === undefined || value === null
    ? `%!${verb}(<nil>)`
    : `%!${verb}(${typeNameOf(value)}=${formatValue(value)})`;
}

function stringVerb(verb: string, digits: number | undefined, value: string): string | null {
  const cut = digits === undefined ? value : [...value].slice(0, digits).join('');
  if (verb === 's') return cut;
  if (verb === 'q') return quoteGo(cut);
  if (verb === 'x' || verb === 'X') {
    const hex = Buffer.from(value).toString('hex');
    return verb === 'x' ? hex : hex.toUpperCase();
  }
  return null;
}

const radix: Readonly<Record<string, number>> = { d: 10, x: 16, X: 16, o: 8, b: 2 };

function numberVerb(verb: string, flags: string, digits: number | undefined, value: number): string | null {
  const plus = flags.includes('+') && value >= 0 ? '+' : flags.includes(' ') && value >= 0 ? ' ' : '';
  if (Number.isInteger(value)) {
    const base = radix[verb];
    if (base !== undefined) {
      const text = plus + (flags.includes('#') && base === 16 ? `0${verb}` : '') + value.toString(base);
      return verb === 'X' ? text.toUpperCase() : text;
    }
    if (verb === 'c') return String.fromCodePoint(value);
    if (verb === 'q') return `'${String.fromCodePoint(value)}'`;
    return null;
  }
  if (verb === 'f' || verb === 'F') return plus + value.toFixed(digits ?? 6);
  if (verb === 'e') return plus + value.toExponential(digits ?? 6).replace(/e([+-])(\d)$/, 'e$10$2');
  if (verb === 'g')
    return (
      plus + (digits === undefined ? formatNumber(value) : String(Number(value.toPrecision(digits || 1))))
    );
  return null;
}

/** A string as Go quotes it (strconv.Quote). */
export function quoteGo(text: string): string {
  const escaped = text.replace(/["\\\x00-\x1f\x7f]/g, (char) => {
    const short = {
      '"': '\\"',
      '\\': '\\\\',
      '\n': '\\n',
      '\r': '\\r',
      '\t': '\\t',
      '\b': '\\b',
      '\f': '\\f',
      '\v': '\\v',
      '\x07': '\\a',
    }[char];
    return short ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}
