import { CairnError } from '../../errors/index.ts';
import { hostPlatform, parsePlatform } from '../../oci/index.ts';
import { loadImages } from '../../store/index.ts';
import type { Command } from '../command.ts';
import { withStore } from '../open-store.ts';
import { readInputFile } from '../read-input.ts';

export const command: Command = {
  usage: '[OPTIONS]',
  summary: 'Load images from an archive or standard input',
  args: { min: 0, max: 0 },
  flags: [
    { name: 'input', short: 'i', kind: 'string', help: 'Read this file instead of standard input' },
    {
      name: 'platform',
      kind: 'string',
      help: 'Load the image of this platform (os/architecture) of several',
    },
    {
      name: 'quiet',
      short: 'q',
      kind: 'bool',
      help: 'Accepted for scripts: there is no progress to leave out',
    },
  ],
  run: ({ host, flags }) =>
    withStore(host, async (store) => {
      const input = flags.text('input');
      if (!input && host.stdin.isTty)
        throw new CairnError('USAGE', {
          message: 'requested load from stdin, but stdin is empty',
          help: 'give an archive with -i, or redirect it to standard input',
        });
      const platform = flags.text('platform');
      const bytes = input ? readInputFile(host, input) : host.stdin.chunks();
      const images = await loadImages(store, bytes, {
        signal: host.signal,
        ...(platform ? { platform: parsePlatform(platform, hostPlatform()) } : {}),
      });
      for (const { names, record } of images) {
        for (const name of names) host.stdout.write(`Loaded image: ${name}\n`);
        if (names.length === 0) host.stdout.write(`Loaded image ID: ${record.id}\n`);
      }
      return 0;
    }),
};
