import type { ImageRecord } from '../../store/contracts.ts';
import type { Command, Invocation } from '../command.ts';
import { unsupported } from '../dispatch.ts';
import { booleanFilter, type Filters, matchesLabel, parseFilters, parseMoment } from '../filters.ts';
import type { FlagSpec } from '../flags/index.ts';
import { createdSince, goTimeString, humanSize, type RowFormat, renderRows } from '../format/index.ts';
import { noTruncate, tableFormat } from '../format-flag.ts';
import { type ImageRow, imageRows } from '../image/image-rows.ts';
import { LayerSizes } from '../image/image-size.ts';
import { matchesReference } from '../image/match-reference.ts';
import { shortId } from '../image/short-id.ts';
import { type OpenStore, withStore } from '../open-store.ts';

const filterFlag: FlagSpec = {
  name: 'filter',
  short: 'f',
  kind: 'list',
  label: 'filter',
  help: 'Show only images with name=value: dangling, label, before, since, until, reference',
};

export const command: Command = {
  usage: '[OPTIONS] [REPOSITORY[:TAG]]',
  summary: 'List images',
  args: { min: 0, max: 1 },
  flags: [
    {
      name: 'all',
      short: 'a',
      kind: 'bool',
      help: 'Show all images (there are no hidden ones: accepted for scripts)',
    },
    { name: 'digests', kind: 'bool', help: 'Show digests' },
    filterFlag,
    tableFormat,
    noTruncate,
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Show only image IDs' },
    { name: 'tree', kind: 'bool' },
  ],
  run: (invocation) => withStore(invocation.host, (store) => listImages(invocation, store)),
};

const knownFilters = ['dangling', 'label', 'label!', 'before', 'since', 'until', 'reference'];

function listImages({ host, flags, args }: Invocation, store: OpenStore): number {
  if (flags.bool('tree')) throw unsupported('--tree');
  const filters = parseFilters(filterFlag, flags.list('filter'), knownFilters);
  const now = host.now();
  const digests = flags.bool('digests');
  const patterns = [...args, ...(filters.get('reference') ?? [])];
  const rows = selectImages(store, filters, now).flatMap((record) => rowsOf(record, { digests, patterns }));
  const format = flags.text('format') ?? '';
  const shape = imageFormat(new LayerSizes(store), { now, full: flags.bool('no-trunc'), digests });
  host.stdout.write(renderRows(rows, resolveFormat(format, flags.bool('quiet')), shape));
  return 0;
}

/** `-q` prints IDs; with a table format of its own, it is a table of IDs (formatter/image.go). */
function resolveFormat(format: string, quiet: boolean): string {
  if (!quiet) return format;
  return format === 'raw' ? 'image_id: {{.ID}}' : format === 'table' || format === '' ? '{{.ID}}' : format;
}

function selectImages(store: OpenStore, filters: Filters, now: number): readonly ImageRecord[] {
  const dangling = booleanFilter(filters, 'dangling');
  const before = (filters.get('before') ?? []).map((name) => createdMs(store.images.get(name)));
  const since = (filters.get('since') ?? []).map((name) => createdMs(store.images.get(name)));
  const until = (filters.get('until') ?? []).map((text) => parseMoment(text, now));
  return store.images
    .list()
    .filter((record) => {
      const labels = record.config.config?.Labels;
      const created = createdMs(record);
      return (
        (dangling === undefined || dangling === (record.tags.length === 0)) &&
        (filters.get('label') ?? []).every((label) => matchesLabel(labels, label)) &&
        (filters.get('label!') ?? []).every((label) => !matchesLabel(labels, label)) &&
        before.every((moment) => created < moment) &&
        since.every((moment) => created > moment) &&
        until.every((moment) => created < moment)
      );
    })
    .sort((a, b) => createdMs(b) - createdMs(a));
}

function rowsOf(
  record: ImageRecord,
  options: { readonly digests: boolean; readonly patterns: readonly string[] },
): readonly ImageRow[] {
  const { patterns, digests } = options;
  if (patterns.length === 0) return imageRows({ ...record, record }, digests);
  // As the engine does, a pattern hides the other names of an image, too.
  const keep = (name: string): boolean => patterns.some((pattern) => matchesReference(pattern, name));
  const [tags, repoDigests] = [record.tags.filter(keep), record.repoDigests.filter(keep)];
  return tags.length + repoDigests.length === 0 ? [] : imageRows({ record, tags, repoDigests }, digests);
}

/** Milliseconds since 1970 of an image's `created`; 0 when it has none. */
export function createdMs(record: ImageRecord): number {
  const time = Date.parse(record.config.created ?? '');
  return Number.isNaN(time) ? 0 : time;
}

interface ShownAs {
  readonly now: number;
  readonly full: boolean;
  readonly digests: boolean;
}

function imageFormat(sizes: LayerSizes, { now, full, digests }: ShownAs): RowFormat<ImageRow> {
  const digestColumn = digests ? '{{.Digest}}\\t' : '';
  return {
    typeName: '*formatter.imageContext',
    table: `{{.Repository}}\\t{{.Tag}}\\t${digestColumn}{{.ID}}\\t{{.CreatedSince}}\\t{{.Size}}`,
    raw:
      `repository: {{.Repository}}\\ntag: {{.Tag}}\\n${digests ? 'digest: {{.Digest}}\\n' : ''}` +
      'image_id: {{.ID}}\\ncreated_at: {{.CreatedAt}}\\nvirtual_size: {{.Size}}\\n',
    columns: [
      { name: 'ID', header: 'IMAGE ID', value: ({ record }) => (full ? record.id : shortId(record.id)) },
      { name: 'Repository', header: 'REPOSITORY', value: (row) => row.repository },
      { name: 'Tag', header: 'TAG', value: (row) => row.tag },
      { name: 'Digest', header: 'DIGEST', value: (row) => row.digest },
      {
        name: 'CreatedSince',
        header: 'CREATED',
        value: ({ record }) => createdSince(createdMs(record), now),
      },
      { name: 'CreatedAt', header: 'CREATED AT', value: ({ record }) => goTimeString(createdMs(record)) },
      { name: 'Size', header: 'SIZE', value: ({ record }) => humanSize(sizes.ofImage(record)) },
      { name: 'VirtualSize', header: 'SIZE', value: ({ record }) => humanSize(sizes.ofImage(record), 4) },
      { name: 'Containers', header: 'CONTAINERS', value: () => 'N/A' },
      { name: 'SharedSize', header: 'SHARED SIZE', value: () => 'N/A' },
      { name: 'UniqueSize', header: 'UNIQUE SIZE', value: () => 'N/A' },
    ],
  };
}
