import { pruneImages } from '../../store/index.ts';
import type { Command } from '../command.ts';
import { confirm } from '../confirm.ts';
import type { FlagSpec } from '../flags/index.ts';
import { humanSize } from '../format/index.ts';
import { withStore } from '../open-store.ts';
import { imagePruneFilters, pruneOptions } from '../prune-filters.ts';
import { removalLine } from '../removal-line.ts';

const filterFlag: FlagSpec = {
  name: 'filter',
  kind: 'list',
  label: 'filter',
  help: 'Only images with name=value: until, label, label!',
};

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Remove images that nothing uses',
  args: { min: 0, max: 0 },
  flags: [
    { name: 'all', short: 'a', kind: 'bool', help: 'Remove tagged images, too' },
    filterFlag,
    { name: 'force', short: 'f', kind: 'bool', help: 'Do not ask' },
  ],
  run: ({ host, flags }) =>
    withStore(host, async (store) => {
      const all = flags.bool('all');
      const filters = imagePruneFilters(filterFlag, flags.list('filter'));
      const warning = all
        ? 'WARNING! This will remove all images without at least one container associated to them.'
        : 'WARNING! This will remove all dangling images.';
      if (!flags.bool('force') && !(await confirm(host, `${warning}\nAre you sure you want to continue?`)))
        return 0;
      const { items, reclaimedBytes } = pruneImages(store, pruneOptions(filters, { all, now: host.now() }));
      const list = items.map((item) => `${removalLine(item, false)}\n`).join('');
      host.stdout.write(list === '' ? '' : `Deleted Images:\n${list}\n`);
      host.stdout.write(`Total reclaimed space: ${humanSize(reclaimedBytes, 4)}\n`);
      return 0;
    }),
};
