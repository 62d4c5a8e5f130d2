import { collectGarbage, pruneCache, pruneImages } from '../../store/index.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import type { FlagSpec } from '../flags/index.ts';
import { humanSize } from '../format/index.ts';
import { shortId } from '../image/short-id.ts';
import { withStore } from '../open-store.ts';
import { imagePruneFilters, pruneOptions } from '../prune-filters.ts';
import { removalLine } from '../removal-line.ts';

const filterFlag: FlagSpec = {
  name: 'filter',
  kind: 'list',
  label: 'filter',
  help: 'Only objects with name=value: until, label, label! (labels concern images only)',
};

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Remove everything that nothing uses',
  args: { min: 0, max: 0 },
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Remove tagged images and all build cache, too' },
    filterFlag,
    { name: 'force', short: 'f', kind: 'bool', help: 'Do not ask' },
    { name: 'volumes', kind: 'bool', help: 'Accepted for scripts: there are no volumes' },
  ],
  run: ({ host, flags }) =>
    withStore(host, async (store) => {
      const all = flags.bool('all');
      const filters = imagePruneFilters(filterFlag, flags.list('filter'));
      if (!flags.bool('force') && !(await confirm(host, warning(all)))) return 0;
      const options = pruneOptions(filters, { all, now: host.now() });
      const images = pruneImages(store, options);
      const until = options.untilMs === undefined ? {} : { untilMs: options.untilMs };
      const cache =
        filters.has('label') || filters.has('label!') ? null : pruneCache(store, { all, ...until });
      const garbage = collectGarbage(store);
      section(
        'Deleted Images:',
        images.items.map((item) => removalLine(item, false)),
      );
      section('Deleted build cache objects:', [
        ...(cache?.steps ?? []).map((step) => shortId(step.key)),
        ...[...(cache?.mounts ?? []), ...(cache?.sources ?? [])].map(({ name }) => name),
      ]);
      const reclaimed = images.reclaimedBytes + (cache?.reclaimedBytes ?? 0) + garbage.reclaimedBytes;
      host.stdout.write(`Total reclaimed space: ${humanSize(reclaimed, 4)}\n`);
      return 0;

      function section(title: string, lines: readonly string[]): void {
        if (lines.length > 0) host.stdout.write(`${[title, ...lines].join('\n')}\n\n`);
      }
    }),
};

function warning(all: boolean): string {
  const what = all
    ? ['all images without at least one container associated to them', 'all build cache']
    : ['all dangling images', 'unused build cache'];
  return `WARNING! This will remove:\n${what.map((each) => `  - ${each}\n`).join('')}\nAre you sure you want to continue?`;
}
