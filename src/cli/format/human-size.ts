const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];

/**
 * A size in decimal units as go-units writes it: `0B`, `1.98MB`, `213MB`.
 * @param digits - significant digits, at most: 3 in tables, 4 in totals.
 */
export function humanSize(bytes: number, digits = 3): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${significant(size, digits)}${units[unit]}`;
}

/** Memory in binary units with four digits, as `info` shows it: `23.54GiB`. */
export function humanMemory(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < names.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${significant(size, 4)}${names[unit]}`;
}

/** Go's `%.Ng`: N significant digits without trailing zeros, an exponent when they do not reach the point. */
function significant(value: number, digits: number): string {
  const rounded = Number(value.toPrecision(digits));
  // 999.95 rounds to 1000, which %.3g and %.4g write differently: 1e+03 and 1000.
  if (rounded >= 10 ** digits) return rounded.toExponential().replace(/e\+(\d)$/, 'e+0$1');
  return String(rounded);
}

const factors: Readonly<Record<string, number>> = {
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  p: 2 ** 50,
};

/** Reads Docker's `bytes` flags: `64m`, `1.5g`, `1024`, `512KiB` (powers of 1024). @returns null when it is none */
export function parseByteSize(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?) ?([kmgtp]?)(?:ib?|b)?$/i.exec(text.trim());
  if (!match) return null;
  return Math.floor(Number(match[1]) * (factors[(match[2] || 'b').toLowerCase()] ?? 1));
}
