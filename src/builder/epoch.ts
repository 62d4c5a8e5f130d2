import { CairnError } from '../errors/index.ts';
import { defaultEpoch, type Timestamp } from './contracts.ts';

/** RFC 3339 in UTC, as configs and histories write times. */
export function formatTime(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}

/**
 * Reads SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/).
 * @returns null for an empty value, which means unset
 * @throws {CairnError} EPOCH_INVALID
 */
function parseEpoch(text: string): number | null {
  if (text === '') return null;
  const seconds = Number(text);
  // The largest time that a 32-bit-clean ISO date with four-digit year holds.
  if (/^\d{1,12}$/.test(text) && seconds <= 253402300799) return seconds;
  throw new CairnError('EPOCH_INVALID', {
    message: `SOURCE_DATE_EPOCH "${text}" is not a number of seconds since 1970`,
    help: 'give whole seconds, for example SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)',
  });
}

/** The time that newer times become, and that `created` is, in seconds since 1970. */
export function epochOf(timestamp: Timestamp | undefined, sourceDateEpoch: string | undefined): number {
  if (timestamp?.kind === 'epoch') return timestamp.seconds;
  return (sourceDateEpoch === undefined ? null : parseEpoch(sourceDateEpoch)) ?? defaultEpoch;
}
