/** A span of time in words, as go-units writes it: `Less than a second`, `About an hour`, `3 weeks`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(milliseconds / 3_600_000);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(Math.trunc(milliseconds / 3_600_000) / 24 / 365)} years`;
}

const year2000 = Date.UTC(2000, 0, 1);

/**
 * The CREATED column: `5 minutes ago`. A constant date from a reproducible build (in or before 2000) says nothing
 * about age: `N/A`, as newer Docker prints it.
 */
export function createdSince(createdMs: number, nowMs: number): string {
  return createdMs <= year2000 ? 'N/A' : `${humanDuration(nowMs - createdMs)} ago`;
}

/** Go's default print of a time, in UTC and without a fraction: `2026-11-24 16:08:08 +0000 UTC`. */
export function goTimeString(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}

/** RFC 3339 in UTC, whole seconds. */
export function rfc3339Seconds(milliseconds: number): string {
  return `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;
}
