// Numbers as Go's strconv and time read them.

/** Go's `strconv.ParseBool`; undefined for anything else. */
export function parseBoolean(text: string): boolean | undefined {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(?:0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

/** Go's `strconv.ParseUint(text, base, 32)`; undefined for anything else. */
export function parseUnsigned(text: string, base: 8 | 10): number | undefined {
  if (!(base === 8 ? /^[0-7]+$/ : /^[0-9]+$/).test(text)) return undefined;
  const value = Number.parseInt(text, base);
  return value <= 0xffff_ffff ? value : undefined;
}

/** Go's `strconv.ParseInt(text, 10, 32)`; undefined for anything else. */
export function parseInteger(text: string): number | undefined {
  if (!/^[+-]?[0-9]+$/.test(text)) return undefined;
  const value = Number.parseInt(text, 10);
  return value >= -0x8000_0000 && value <= 0x7fff_ffff ? value : undefined;
}

const unitNs: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/**
 * Go's `time.ParseDuration`: `1h30m`, `1.5s`, `0`, in nanoseconds; undefined for anything else, and for more than
 * an int64 holds. Fractions of a nanosecond are cut off.
 */
export function parseDurationNs(text: string): bigint | undefined {
  const sign = /^[+-]/.exec(text)?.[0] ?? '';
  const body = text.slice(sign.length);
  if (body === '0') return 0n;
  if (!/^(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let total = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of body.matchAll(
    /([0-9]*)(?:\.([0-9]*))?([a-zµμ]+)/g,
  )) {
    const scale = unitNs[unit]!;
    total +=
      BigInt(whole || '0') * scale + (BigInt(fraction || '0') * scale) / 10n ** BigInt(fraction.length);
  }
  const value = sign === '-' ? -total : total;
  return value >= -(2n ** 63n) && value < 2n ** 63n ? value : undefined;
}

const byteUnit: Readonly<Record<string, number>> = { '': 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Docker's `RAMInBytes`: `64m`, `1.5 GiB`, `512`; units are powers of 1024. Undefined for anything else. */
export function parseByteSize(text: string): number | undefined {
  const found = /^([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(?:([kmgtp])i?)?b?$/i.exec(text);
  if (found === null) return undefined;
  const bytes = Math.trunc(Number(found[1]) * 1024 ** byteUnit[(found[2] ?? '').toLowerCase()]!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
