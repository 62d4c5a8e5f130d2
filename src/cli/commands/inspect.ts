import { CairnError } from '../../errors/index.ts';
import type { ImageRecord } from '../../store/contracts.ts';
import type { Command } from '../command.ts';
import { documentFormat } from '../format-flag.ts';
import { inspectImages } from '../image/inspect-images.ts';
import { type OpenStore, withStore } from '../open-store.ts';

export const command: Command = {
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  summary: 'Show everything known about images',
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  flags: [
    documentFormat,
    { name: 'size', short: 's', kind: 'bool', help: 'Accepted for scripts: it concerns containers' },
    { name: 'type', kind: 'string', help: 'Only objects of this type: image' },
  ],
  run: ({ host, flags, args }) => {
    const type = checkType(flags.text('type'));
    return withStore(host, (store) =>
      inspectImages(host, store, {
        names: args,
        format: flags.text('format'),
        find: (name) => findObject(store, name, type),
      }),
    );
  },
};

/** Types that Docker inspects; Cairn keeps images only. */
const types = [
  'config',
  'container',
  'image',
  'network',
  'node',
  'plugin',
  'secret',
  'service',
  'task',
  'volume',
];

function checkType(type: string | undefined): string | undefined {
  if (type === undefined || type === '' || types.includes(type)) return type || undefined;
  throw new CairnError('USAGE', {
    message: `unknown type: "${type}": must be one of ${types.map((known) => `"${known}"`).join(', ')}`,
  });
}

function findObject(store: OpenStore, name: string, type: string | undefined): ImageRecord {
  if (type === 'image') return store.images.get(name);
  const record = type === undefined ? store.images.find(name) : null;
  if (record) return record;
  throw new CairnError('IMAGE_NOT_FOUND', {
    message: type === undefined ? `No such object: ${name}` : `No such ${type}: ${name}`,
  });
}
