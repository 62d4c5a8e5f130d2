import { type LockUpdate, updateLock } from '../../builder/index.ts';
import { familiarName, parseReference } from '../../oci/index.ts';
import { lockPathOf } from '../build/lock-path.ts';
import type { Command } from '../command.ts';
import { withStore } from '../open-store.ts';
import { basePuller } from '../registry/base-puller.ts';

export const command: Command = {
  usage: '[OPTIONS] [NAME...]',
  summary: 'Lock what names of images mean now: all of a lock file, or some',
  args: { min: 0, max: Number.POSITIVE_INFINITY },
  flags: [
    {
      name: 'file',
      short: 'f',
      kind: 'string',
      help: 'Dockerfile whose lock file is meant (default: ./Dockerfile)',
    },
    { name: 'lock-file', kind: 'string', help: 'The lock file (default: beside the Dockerfile)' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Print nothing but what changed' },
  ],
  run: ({ host, flags, args }) =>
    withStore(host, async (store) => {
      const path = lockPathOf(host, {
        file: flags.text('file'),
        lockFile: flags.text('lock-file'),
        context: '.',
      });
      const pull = basePuller(host, store, !flags.bool('quiet'));
      const updates = await updateLock(path, { store, ...(pull && { pull }) }, args);
      for (const update of updates)
        if (update.before.image !== update.after.image || !flags.bool('quiet'))
          host.stdout.write(`${updateText(update)}\n`);
      return 0;
    }),
};

function updateText({ before, after }: LockUpdate): string {
  const name = `${familiarName(parseReference(after.name))} ${after.platform}`;
  if (before.image === after.image) return `${name}: ${after.image}, unchanged`;
  return `${name}: ${before.image} -> ${after.image}`;
}
