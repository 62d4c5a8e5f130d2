import type { Command } from '../command.ts';
import { documentFormat } from '../format-flag.ts';
import { inspectImages } from '../image/inspect-images.ts';
import { withStore } from '../open-store.ts';
import { imageForPlatform } from '../platform-flag.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Show everything known about images',
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  flags: [
    documentFormat,
    {
      name: 'platform',
      kind: 'string',
      help: 'Which platform of the image (os/architecture); fail when it has another',
    },
  ],
  run: ({ host, flags, args }) =>
    withStore(host, (store) =>
      inspectImages(host, store, {
        names: args,
        format: flags.text('format'),
        find: (name) => imageForPlatform(store.images, name, flags.text('platform')),
      }),
    ),
};
