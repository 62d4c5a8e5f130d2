import { printable } from '../../errors/index.ts';
import { type StepUsage, stepUsage } from '../../store/index.ts';
import type { Command } from '../command.ts';
import { humanDuration, humanSize, type RowFormat, renderRows } from '../format/index.ts';
import { tableFormat } from '../format-flag.ts';
import { shortId } from '../image/short-id.ts';
import { stepKeptBy } from '../kept-by.ts';
import { withStore } from '../open-store.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'List cached results of build steps',
  args: { min: 0, max: 0 },
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Also records that find layers by their content' },
    tableFormat,
    { name: 'no-trunc', kind: 'bool', help: 'Do not shorten output' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Print IDs only' },
  ],
  run: ({ host, flags }) =>
    withStore(host, (store) => {
      const isWhole = flags.bool('no-trunc');
      const rows = stepUsage(store)
        .filter(({ name }) => flags.bool('all') || name !== undefined)
        .sort((a, b) => b.lastUsedMs - a.lastUsedMs || (a.key < b.key ? -1 : 1));
      const format = flags.text('format') ?? (flags.bool('quiet') ? '{{.ID}}' : '');
      host.stdout.write(renderRows(rows, format, cacheFormat(host.now(), isWhole)));
      return 0;
    }),
};

const nameLength = 44;

function cacheFormat(now: number, isWhole: boolean): RowFormat<StepUsage> {
  const since = (milliseconds: number): string => `${humanDuration(now - milliseconds)} ago`;
  const cut = (text: string): string => {
    const line = printable(text).replaceAll(/\s+/g, ' ');
    return isWhole || line.length <= nameLength ? line : `${line.slice(0, nameLength - 1)}…`;
  };
  return {
    typeName: '*formatter.cacheContext',
    table: '{{.ID}}\\t{{.Step}}\\t{{.Size}}\\t{{.CreatedSince}}\\t{{.LastUsedSince}}\\t{{.KeptBy}}',
    columns: [
      { name: 'ID', header: 'CACHE ID', value: (row) => (isWhole ? row.key : shortId(row.key)) },
      { name: 'Step', header: 'STEP', value: (row) => cut(row.name ?? '(by content)') },
      { name: 'Size', header: 'SIZE', value: (row) => humanSize(row.sizeBytes) },
      { name: 'CreatedSince', header: 'CREATED', value: (row) => since(Date.parse(row.createdAt)) },
      { name: 'CreatedAt', header: 'CREATED AT', value: (row) => row.createdAt },
      { name: 'LastUsedSince', header: 'LAST USED', value: (row) => since(row.lastUsedMs) },
      { name: 'KeptBy', header: 'KEPT BY', value: stepKeptBy },
      { name: 'Layer', header: 'LAYER', value: (row) => (isWhole ? row.layer : shortId(row.layer)) },
      { name: 'Place', header: 'PLACE', value: (row) => row.place },
      { name: 'Why', header: 'WHY', value: (row) => row.reason ?? '' },
    ],
  };
}
