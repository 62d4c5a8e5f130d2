import { CairnError } from '../errors/index.ts';
import { type FlagSpec, invalidArgument } from './flags/index.ts';

/** `--filter name=value` pairs, by name. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/**
 * Reads repeated `--filter` values.
 * @throws {FlagError} for a value without `=`
 * @throws {CairnError} USAGE for a name that is not in `known`, worded as Docker words it
 */
export function parseFilters(spec: FlagSpec, values: readonly string[], known: readonly string[]): Filters {
  const filters = new Map<string, string[]>();
  for (const value of values) {
    const equals = value.indexOf('=');
    if (equals < 0) throw invalidArgument(spec, value, 'bad format of filter (expected name=value)');
    // `label!=x` is the filter "label!".
    const name = value.slice(0, equals).trim().toLowerCase();
    if (!known.includes(name))
      throw new CairnError('USAGE', {
        message: `invalid filter '${name}'`,
        help: `filters here are ${known.join(', ')}`,
      });
    filters.set(name, [...(filters.get(name) ?? []), value.slice(equals + 1).trim()]);
  }
  return filters;
}

/** A yes-or-no filter; undefined when it is absent. @throws {CairnError} USAGE */
export function booleanFilter(filters: Filters, name: string): boolean | undefined {
  const values = filters.get(name);
  if (values === undefined) return undefined;
  const last = values.at(-1) ?? '';
  if (['1', 'true', 't'].includes(last.toLowerCase())) return true;
  if (['0', 'false', 'f'].includes(last.toLowerCase())) return false;
  throw new CairnError('USAGE', {
    message: `invalid filter '${name}=[${last}]'`,
    help: 'the value is true or false',
  });
}

/** Milliseconds of a `until` value: a Go duration back from now (`24h`, `1h30m`), a Unix time, or a date. */
export function parseMoment(text: string, nowMs: number): number {
  const duration = parseGoDuration(text);
  if (duration !== null) return nowMs - duration;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000;
  // Without a zone, a date is local time to Docker; here it is UTC, so that it means the same everywhere.
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) || !text.includes('T') ? text : `${text}Z`;
  const moment = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(zoned) : Number.NaN;
  if (Number.isNaN(moment))
    throw new CairnError('USAGE', {
      message: `failed to parse value as time or duration: "${text}"`,
      help: 'for example 24h, 2026-11-24, or 2026-11-24T13:00:00Z',
    });
  return moment;
}

const durationUnits: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Milliseconds of a Go duration, or null. */
function parseGoDuration(text: string): number | null {
  if (!/^[+-]?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return null;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(amount) * (durationUnits[unit ?? ''] ?? 0);
  return text.startsWith('-') ? -total : total;
}

/** Whether labels hold `key` or `key=value`. */
export function matchesLabel(labels: Readonly<Record<string, string>> | undefined, filter: string): boolean {
  const equals = filter.indexOf('=');
  const key = equals < 0 ? filter : filter.slice(0, equals);
  if (!labels || !Object.hasOwn(labels, key)) return false;
  return equals < 0 || labels[key] === filter.slice(equals + 1);
}
