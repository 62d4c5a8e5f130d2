import type { LayerFile, LayerView, NormalizeRule, Rewrite } from '../contracts.ts';

/** Day of the last change of a password, in shadow(5)'s third field. */
export const shadowDatesRule: NormalizeRule = {
  name: 'shadow-dates',
  tool: 'useradd, adduser, passwd, chpasswd',
  paths: ['etc/shadow', 'etc/shadow-'],
  action: { kind: 'rewrite', rewrite },
  reason:
    "the day of the last change of an account's password: a later one becomes the epoch's day, on lines that the command changed",
};

const maxBytes = 1024 * 1024;
const secondsPerDay = 86_400;
const dayField = 2;

function rewrite(file: LayerFile, layer: LayerView): Rewrite | null {
  if (!Number.isFinite(layer.epoch)) return null;
  const bytes = layer.read(file, maxBytes);
  if (bytes === null) return null;
  const text = bytes.toString('latin1');
  const before = new Set(layer.parentText('etc/shadow').split('\n'));
  const day = Math.floor(layer.epoch / secondsPerDay);
  const lines = text.split('\n').map((line) => (before.has(line) ? line : withDay(line, day)));
  const changed = lines.join('\n');
  return changed === text ? null : { kind: 'content', bytes: Buffer.from(changed, 'latin1') };
}

function withDay(line: string, day: number): string {
  const fields = line.split(':');
  const written = fields[dayField] ?? '';
  if (fields.length < 8 || !/^\d+$/.test(written) || Number(written) <= day) return line;
  // Day 0 would ask for a new password at the next login: none is what shadow itself writes then.
  fields[dayField] = day === 0 ? '' : `${day}`;
  return fields.join(':');
}
