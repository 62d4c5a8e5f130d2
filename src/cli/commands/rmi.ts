import { CairnError, hasCode } from '../../errors/index.ts';
import { removeImage } from '../../store/index.ts';
import type { Command } from '../command.ts';
import { withStore } from '../open-store.ts';
import { requirePlatform } from '../platform-flag.ts';
import { printError } from '../print-error.ts';
import { removalLine } from '../removal-line.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Remove images',
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  flags: [
    {
      name: 'force',
      short: 'f',
      kind: 'bool',
      help: 'Remove all names of an image given by ID; a missing image is no failure',
    },
    { name: 'no-prune', kind: 'bool', help: 'Accepted for scripts: images have no untagged parents here' },
    { name: 'platform', kind: 'csv', help: 'Fail unless the image has this platform (os/architecture)' },
  ],
  run: ({ host, flags, args }) =>
    withStore(host, (store) => {
      const force = flags.bool('force');
      let failed = false;
      for (const name of args)
        try {
          for (const platform of flags.list('platform')) requirePlatform(store.images.get(name), platform);
          const { items } = removeImage(store, name, { force });
          host.stdout.write(items.map((item) => `${removalLine(item, true)}\n`).join(''));
        } catch (error) {
          if (!(error instanceof CairnError)) throw error;
          printError(host, error);
          if (!(force && hasCode(error, 'IMAGE_NOT_FOUND'))) failed = true;
        }
      return failed ? 1 : 0;
    }),
};
