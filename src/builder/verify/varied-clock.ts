import { findFrozenClock, frozenClockSetup } from '../frozen-clock.ts';
import type { RunVariation } from './run-again.ts';

/** libfaketime on this machine, or null where it is not installed. */
export function findClockLibrary(): string | null {
  try {
    return findFrozenClock().library;
  } catch {
    return null;
  }
}

/** What makes programs of a command see a clock that goes on from another time, or stands still at one. */
export function variedClockSetup(
  { library, shift, frozenAt = 0 }: NonNullable<RunVariation['clock']>,
  env: readonly string[],
): ReturnType<typeof frozenClockSetup> {
  const setup = frozenClockSetup({ library, digest: '' }, { epoch: frozenAt, env });
  if (shift === undefined) return setup;
  const isOwn = (entry: string): boolean => /^FAKETIME(?:_FMT)?=/.test(entry);
  return {
    ...setup,
    // Times of files are content that a layer brings along: they are not to be moved.
    env: [...setup.env.filter((entry) => !isOwn(entry)), `FAKETIME=+${shift}`, 'NO_FAKE_STAT=1'],
  };
}

/** Names that a command sees only because its clock is not the machine's: what shows them says nothing about the command. */
export const clockTraces: readonly string[] = [
  'FAKETIME',
  'FAKE_MONOTONIC',
  'NO_FAKE_STAT',
  '.cairn-clock',
  'libfaketime',
];
