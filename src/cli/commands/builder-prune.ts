import { type CachePruneReport, pruneCache } from '../../store/index.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import { unsupported } from '../dispatch.ts';
import { parseFilters, parseMoment } from '../filters.ts';
import type { FlagSpec } from '../flags/index.ts';
import { alignColumns, humanDuration, humanSize, parseByteSize } from '../format/index.ts';
import { shortId } from '../image/short-id.ts';
import { withStore } from '../open-store.ts';

const filterFlag: FlagSpec = {
  name: 'filter',
  kind: 'list',
  label: 'filter',
  help: 'Only records not used for a while: until=24h, unused-for=24h',
};

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Remove build cache',
  args: { min: 0, max: 0 },
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Also records whose layer an image holds' },
    { name: 'builder', kind: 'string' },
    filterFlag,
    { name: 'force', short: 'f', kind: 'bool', help: 'Do not ask' },
    {
      name: 'keep-storage',
      kind: 'bytes',
      help: 'Stop when the cache takes no more than this; least recently used go first',
    },
    { name: 'max-used-space', kind: 'bytes', help: 'The same as --keep-storage' },
    { name: 'reserved-space', kind: 'bytes' },
    { name: 'min-free-space', kind: 'bytes' },
    { name: 'verbose', kind: 'bool', help: 'Show more about each record' },
  ],
  run: ({ host, flags }) =>
    withStore(host, async (store) => {
      const all = flags.bool('all');
      const filters = parseFilters(filterFlag, flags.list('filter'), ['until', 'unused-for']);
      const now = host.now();
      const until = [...(filters.get('until') ?? []), ...(filters.get('unused-for') ?? [])].map((text) =>
        parseMoment(text, now),
      );
      if (flags.has('min-free-space')) throw unsupported('--min-free-space', 'use --keep-storage');
      const kept = parseByteSize(
        flags.text('max-used-space') ?? flags.text('reserved-space') ?? flags.text('keep-storage') ?? '',
      );
      const warning = `WARNING! This will remove all ${all ? '' : 'dangling '}build cache.`;
      if (!flags.bool('force') && !(await confirm(host, `${warning} Are you sure you want to continue?`)))
        return 0;
      const report = pruneCache(store, {
        all,
        ...(until.length > 0 ? { untilMs: Math.min(...until) } : {}),
        ...(kept === null ? {} : { keepStorageBytes: kept }),
      });
      const isVerbose = flags.bool('verbose');
      const rows = prunedRows(report).map((row) => {
        const cells = [
          row.id,
          'true',
          humanSize(row.sizeBytes, 4),
          `${humanDuration(now - row.lastUsedMs)} ago`,
        ];
        return [...cells, ...(isVerbose ? [row.origin] : [])].join('\t');
      });
      const header = ['ID', 'RECLAIMABLE', 'SIZE', 'LAST ACCESSED', ...(isVerbose ? ['ORIGIN'] : [])].join(
        '\t',
      );
      if (rows.length > 0) host.stdout.write(`${alignColumns([header, ...rows].join('\n'))}\n`);
      host.stdout.write(`Total:\t${humanSize(report.reclaimedBytes, 4)}\n`);
      return 0;
    }),
};

interface PrunedRow {
  readonly id: string;
  readonly sizeBytes: number;
  readonly lastUsedMs: number;
  /** The step's place, or what the cache mount is called. */
  readonly origin: string;
}

function prunedRows({ steps, mounts, sources, unpacked }: CachePruneReport): readonly PrunedRow[] {
  return [
    ...steps.map((step) => ({ ...step, id: shortId(step.key), origin: step.place })),
    ...mounts.map((mount) => ({ ...mount, id: mount.name.slice(0, 12), origin: `cache mount ${mount.id}` })),
    ...sources.map((source) => {
      const [kind = '', key = ''] = source.name.split('-', 2);
      return { ...source, id: key.slice(0, 12), origin: `fetched ${kind}` };
    }),
    ...unpacked.map((entry) => ({
      ...entry,
      id: shortId(entry.layer),
      lastUsedMs: entry.madeMs,
      origin: 'unpacked layer',
    })),
  ];
}
