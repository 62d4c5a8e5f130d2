import { type Finding, type FsckReport, fsck } from '../../store/index.ts';
import type { Command, Invocation } from '../command.ts';
import { humanSize } from '../format/index.ts';
import { type OpenStore, withStore } from '../open-store.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Verify every byte of the store',
  args: { min: 0, max: 0 },
  flags: [
    { name: 'format', kind: 'string', help: '"json": one JSON object for each finding, one a line' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Print findings only' },
    { name: 'repair', kind: 'bool', help: 'Remove what is damaged, and what is left over' },
  ],
  run: (invocation) => withStore(invocation.host, (store) => check(invocation, store)),
};

/** @returns 1 when something is damaged and was not repaired; leftovers are no failure */
async function check({ host, flags }: Invocation, store: OpenStore): Promise<number> {
  const report = await fsck(store, { repair: flags.bool('repair'), signal: host.signal });
  const isJson = flags.text('format') === 'json';
  for (const finding of report.findings)
    host.stdout.write(`${isJson ? JSON.stringify(finding) : findingLine(finding)}\n`);
  if (!isJson && !flags.bool('quiet')) host.stdout.write(`${summary(report)}\n`);
  return report.isClean ? 0 : 1;
}

function findingLine({ severity, code, message, subject, isRepaired }: Finding): string {
  return `${severity}[${code}]: ${message} (${subject})${isRepaired ? ': repaired' : ''}`;
}

function summary({ isClean, findings, checkedBlobs, checkedBytes }: FsckReport): string {
  const checked = `${checkedBlobs} blobs, ${humanSize(checkedBytes, 4)} checked`;
  if (findings.length === 0) return `${checked}: clean`;
  const count = `${findings.length} finding${findings.length === 1 ? '' : 's'}`;
  if (isClean) return `${checked}: ${count}, no damage left`;
  return `${checked}: ${count}; "cairn fsck --repair" removes what is damaged`;
}
