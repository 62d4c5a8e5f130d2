import type { ImageConfig } from '../../oci/index.ts';
import type { ImageRecord } from '../../store/contracts.ts';
import type { Command, Invocation } from '../command.ts';
import {
  createdSince,
  ellipsis,
  humanSize,
  type RowFormat,
  renderRows,
  rfc3339Seconds,
} from '../format/index.ts';
import { noTruncate, tableFormat } from '../format-flag.ts';
import { LayerSizes } from '../image/image-size.ts';
import { shortId } from '../image/short-id.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { imageForPlatform } from '../platform-flag.ts';

/** Runes of an instruction in the table. */
const createdByWidth = 45;

export const command: Command = {
  usage: '[OPTIONS] IMAGE',
  summary: 'Show how an image was made',
  args: { min: 1, max: 1 },
  flags: [
    tableFormat,
    { name: 'human', short: 'H', kind: 'bool', default: 'true', help: 'Print sizes and dates for people' },
    noTruncate,
    { name: 'platform', kind: 'string', help: 'Fail unless the image has this platform (os/architecture)' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Show only image IDs' },
  ],
  run: (invocation) => withStore(invocation.host, (store) => showHistory(invocation, store)),
};

/** A history entry with what it added. */
interface HistoryRow {
  readonly id: string;
  readonly createdMs: number;
  readonly createdBy: string;
  readonly sizeBytes: number;
  readonly comment: string;
}

function showHistory({ host, flags, args: [name = ''] }: Invocation, store: OpenStore): number {
  const record = imageForPlatform(store.images, name, flags.text('platform'));
  const human = flags.bool('human');
  const shape = historyFormat({ now: host.now(), full: flags.bool('no-trunc'), human });
  const format = flags.bool('quiet') ? '{{.ID}}' : (flags.text('format') ?? '');
  host.stdout.write(renderRows(historyRows(record, new LayerSizes(store)), format, shape));
  return 0;
}

/** Newest first. Only the newest entry is an image that exists. */
function historyRows(record: ImageRecord, sizes: LayerSizes): readonly HistoryRow[] {
  const rows: HistoryRow[] = [];
  let layer = 0;
  for (const entry of completeHistory(record.config)) {
    const diffId = entry.empty_layer ? undefined : record.config.rootfs.diff_ids[layer++];
    const created = Date.parse(entry.created ?? '');
    rows.push({
      id: '<missing>',
      createdMs: Number.isNaN(created) ? 0 : created,
      createdBy: entry.created_by ?? '',
      sizeBytes: diffId ? sizes.ofLayer(diffId) : 0,
      comment: entry.comment ?? '',
    });
  }
  rows.reverse();
  const [newest, ...older] = rows;
  return newest ? [{ ...newest, id: record.id }, ...older] : [];
}

/** Layers that no entry speaks of get one without text: an image's history is optional. */
function completeHistory(config: ImageConfig): NonNullable<ImageConfig['history']> {
  const history = config.history ?? [];
  const told = history.filter((entry) => !entry.empty_layer).length;
  return [...history, ...config.rootfs.diff_ids.slice(told).map(() => ({}))];
}

interface ShownAs {
  readonly now: number;
  readonly full: boolean;
  readonly human: boolean;
}

function historyFormat({ now, full, human }: ShownAs): RowFormat<HistoryRow> {
  const createdColumn = human ? '{{.CreatedSince}}' : '{{.CreatedAt}}';
  return {
    typeName: '*image.historyContext',
    table: `{{.ID}}\\t${createdColumn}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}`,
    columns: [
      { name: 'ID', header: 'IMAGE', value: ({ id }) => (full || id === '<missing>' ? id : shortId(id)) },
      { name: 'CreatedSince', header: 'CREATED', value: (row) => createdSince(row.createdMs, now) },
      { name: 'CreatedAt', header: 'CREATED AT', value: (row) => rfc3339Seconds(row.createdMs) },
      {
        name: 'CreatedBy',
        header: 'CREATED BY',
        value: (row) => {
          const text = row.createdBy.replace(/\t/g, ' ');
          return full ? text : ellipsis(text, createdByWidth);
        },
      },
      {
        name: 'Size',
        header: 'SIZE',
        value: (row) => (human ? humanSize(row.sizeBytes) : String(row.sizeBytes)),
      },
      { name: 'Comment', header: 'COMMENT', value: (row) => row.comment },
    ],
  };
}
