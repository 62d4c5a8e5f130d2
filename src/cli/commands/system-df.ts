import { type DiskUsage, diskUsage, type ImageUsage, type UsageSummary } from '../../store/index.ts';
import type { Command, Invocation } from '../command.ts';
import { createdSince, humanDuration, humanSize, type RowFormat, renderRows } from '../format/index.ts';
import { tableFormat } from '../format-flag.ts';
import { imageRows } from '../image/image-rows.ts';
import { shortId } from '../image/short-id.ts';
import { imageKeptBy, stepKeptBy } from '../kept-by.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { createdMs } from './images.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Show what takes space',
  args: { min: 0, max: 0 },
  flags: [tableFormat, { name: 'verbose', short: 'v', kind: 'bool', help: 'Show every object' }],
  run: (invocation) => withStore(invocation.host, (store) => showUsage(invocation, store)),
};

function showUsage({ host, flags }: Invocation, store: OpenStore): number {
  const usage = diskUsage(store);
  if (!flags.bool('verbose')) {
    host.stdout.write(renderRows(summaryRows(usage), flags.text('format') ?? '', summaryFormat));
    return 0;
  }
  host.stdout.write(verboseReport(usage, host.now()));
  return 0;
}

interface SummaryRow extends UsageSummary {
  readonly type: string;
}

const nothing: UsageSummary = { total: 0, active: 0, sizeBytes: 0, reclaimableBytes: 0 };

/** Docker's four rows, and what Cairn derives from blobs: it may be deleted at any time. */
function summaryRows(usage: DiskUsage): readonly SummaryRow[] {
  return [
    { type: 'Images', ...usage.images },
    { type: 'Containers', ...nothing },
    { type: 'Local Volumes', ...nothing },
    { type: 'Build Cache', ...usage.buildCache },
  ];
}

const summaryFormat: RowFormat<SummaryRow> = {
  typeName: '*formatter.diskUsageContext',
  table: '{{.Type}}\\t{{.TotalCount}}\\t{{.Active}}\\t{{.Size}}\\t{{.Reclaimable}}',
  columns: [
    { name: 'Type', header: 'TYPE', value: (row) => row.type },
    { name: 'TotalCount', header: 'TOTAL', value: (row) => String(row.total) },
    { name: 'Active', header: 'ACTIVE', value: (row) => String(row.active) },
    { name: 'Size', header: 'SIZE', value: (row) => humanSize(row.sizeBytes, 4) },
    { name: 'Reclaimable', header: 'RECLAIMABLE', value: reclaimable },
  ],
};

/** `1.991MB (99%)`; the build cache and what is empty have no percentage. */
function reclaimable(row: SummaryRow): string {
  const size = humanSize(row.reclaimableBytes, 4);
  if (row.sizeBytes === 0 || row.type === 'Build Cache') return size;
  return `${size} (${Math.trunc((row.reclaimableBytes * 100) / row.sizeBytes)}%)`;
}

function verboseReport(usage: DiskUsage, now: number): string {
  const { derived } = usage;
  return [
    `Images space usage:\n\n${renderRows(usage.images.items.flatMap(rowsOf), '', imageUsageFormat(now))}`,
    `Build cache usage: ${humanSize(usage.buildCache.sizeBytes, 4)}\n\n${renderRows(cacheRows(usage), '', cacheFormat(now))}`,
    [
      'Derived from the above (deleted at will, made again when needed):\n',
      `Unpacked layers: ${humanSize(derived.rootfsBytes, 4)}`,
      `Tables of contents: ${humanSize(derived.tocBytes, 4)}`,
      `Stat cache: ${humanSize(derived.statBytes, 4)}`,
      `Work in progress: ${humanSize(usage.tmpBytes, 4)}\n`,
    ].join('\n'),
  ].join('\n');
}

type ImageUsageRow = ImageUsage & { readonly repository: string; readonly tag: string };

function rowsOf(item: ImageUsage): readonly ImageUsageRow[] {
  return imageRows({ ...item.record, record: item.record }, false).map(({ repository, tag }) => ({
    ...item,
    repository,
    tag,
  }));
}

function imageUsageFormat(now: number): RowFormat<ImageUsageRow> {
  return {
    typeName: '*formatter.imageContext',
    table:
      '{{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}\\t{{.SharedSize}}\\t{{.UniqueSize}}\\t{{.Containers}}\\t{{.KeptBy}}',
    columns: [
      { name: 'Repository', header: 'REPOSITORY', value: (row) => row.repository },
      { name: 'Tag', header: 'TAG', value: (row) => row.tag },
      { name: 'ID', header: 'IMAGE ID', value: (row) => shortId(row.record.id) },
      { name: 'CreatedSince', header: 'CREATED', value: (row) => createdSince(createdMs(row.record), now) },
      { name: 'Size', header: 'SIZE', value: (row) => humanSize(row.sizeBytes) },
      { name: 'SharedSize', header: 'SHARED SIZE', value: (row) => humanSize(row.sharedBytes, 4) },
      { name: 'UniqueSize', header: 'UNIQUE SIZE', value: (row) => humanSize(row.uniqueBytes, 4) },
      { name: 'Containers', header: 'CONTAINERS', value: () => '0' },
      { name: 'KeptBy', header: 'KEPT BY', value: imageKeptBy },
    ],
  };
}

interface CacheRow {
  readonly id: string;
  /** BuildKit's word for the kind of record. */
  readonly type: 'regular' | 'exec.cachemount' | 'source.git.checkout';
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly lastUsedMs: number;
  readonly isShared: boolean;
  readonly keptBy: string;
}

function cacheRows({ buildCache }: DiskUsage): readonly CacheRow[] {
  return [
    ...buildCache.items.map((item) => ({
      ...item,
      id: shortId(item.key),
      type: 'regular' as const,
      createdMs: Date.parse(item.createdAt),
      keptBy: stepKeptBy(item),
    })),
    ...buildCache.mounts.map((mount) => ({
      ...mount,
      id: mount.name.slice(0, 12),
      type: 'exec.cachemount' as const,
      isShared: false,
      keptBy: stepKeptBy({ images: [], isLeased: mount.inUse }),
    })),
    ...buildCache.sources.map((source) => ({
      ...source,
      id: source.name.replace(/^.*-/, '').slice(0, 12),
      type: source.name.startsWith('http-') ? ('regular' as const) : ('source.git.checkout' as const),
      isShared: false,
      keptBy: stepKeptBy({ images: [], isLeased: source.inUse }),
    })),
  ];
}

function cacheFormat(now: number): RowFormat<CacheRow> {
  const since = (milliseconds: number): string => `${humanDuration(now - milliseconds)} ago`;
  return {
    typeName: '*formatter.buildCacheContext',
    table:
      '{{.ID}}\\t{{.CacheType}}\\t{{.Size}}\\t{{.CreatedSince}}\\t{{.LastUsedSince}}\\t{{.Shared}}\\t{{.KeptBy}}',
    columns: [
      { name: 'ID', header: 'CACHE ID', value: (row) => row.id },
      { name: 'CacheType', header: 'CACHE TYPE', value: (row) => row.type },
      { name: 'Size', header: 'SIZE', value: (row) => humanSize(row.sizeBytes) },
      { name: 'CreatedSince', header: 'CREATED', value: (row) => since(row.createdMs) },
      { name: 'LastUsedSince', header: 'LAST USED', value: (row) => since(row.lastUsedMs) },
      { name: 'Shared', header: 'SHARED', value: (row) => String(row.isShared) },
      { name: 'KeptBy', header: 'KEPT BY', value: (row) => row.keptBy },
    ],
  };
}
