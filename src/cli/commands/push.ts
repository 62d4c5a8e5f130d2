import { CairnError } from '../../errors/index.ts';
import {
  canonicalName,
  familiarRepository,
  hostPlatform,
  type Platform,
  parsePlatform,
  parseReference,
  type Reference,
} from '../../oci/index.ts';
import type { PushOptions, Registries } from '../../registry/index.ts';
import { type Command, type Invocation, UsageError } from '../command.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { referenceWithTag } from '../registry/default-tag.ts';
import { TransferProgress } from '../registry/transfer-progress.ts';
import { withRegistries } from '../registry/with-registries.ts';

export const command: Command = {
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Send an image to a registry',
  args: { min: 1, max: 1 },
  flags: [
    {
      name: 'all-tags',
      short: 'a',
      kind: 'bool',
      help: 'Push every tag of the repository that the store has',
    },
    {
      name: 'compression',
      kind: 'string',
      help: 'How to compress all layers: "gzip" or "zstd" (default: as they were pulled, new ones with gzip)',
    },
    { name: 'disable-content-trust', kind: 'bool' },
    {
      name: 'platform',
      kind: 'string',
      help: 'Push only the image of this platform (os/architecture[/variant])',
    },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Print nothing but the name' },
  ],
  run: (invocation) =>
    withStore(invocation.host, (store) =>
      withRegistries(invocation.host, (registries) => push(invocation, store, registries)),
    ),
};

async function push(
  { host, flags, args: [name = ''] }: Invocation,
  store: OpenStore,
  registries: Registries,
): Promise<number> {
  const isQuiet = flags.bool('quiet');
  const isAll = flags.bool('all-tags');
  const { stdout, signal, now } = host;
  const references = isAll ? tagsOf(store, name) : [referenceWithTag(name, isQuiet ? null : stdout)];
  const [first] = references;
  if (first?.digest !== undefined)
    throw new CairnError('USAGE', { message: 'cannot push a digest reference', help: 'push a tag' });
  const { pushImage } = await import('../../registry/index.ts');
  const repository = { registry: first?.registry ?? '', repository: first?.repository ?? '' };
  if (!isQuiet) stdout.write(`The push refers to repository [${canonicalName(repository)}]\n`);
  for (const reference of references) {
    const progress = new TransferProgress(stdout, 'push', now);
    const { digest, size } = await pushImage(registries, store, reference, {
      signal,
      ...platformOf(flags.text('platform')),
      ...compressionOf(flags.text('compression')),
      ...(isQuiet ? {} : { onEvent: progress.onEvent }),
    });
    progress.finish();
    if (!isQuiet) stdout.write(`${reference.tag}: digest: ${digest} size: ${size}\n`);
  }
  if (isQuiet) stdout.write(`${canonicalName(isAll ? repository : (first ?? repository))}\n`);
  return 0;
}

/** Every name in the store that is in the repository. */
function tagsOf(store: OpenStore, name: string): readonly Reference[] {
  const wanted = parseReference(name);
  if (wanted.tag !== undefined || wanted.digest !== undefined)
    throw new CairnError('USAGE', { message: "tag can't be used with --all-tags/-a" });
  const references = store.images
    .list()
    .flatMap((record) => record.tags.map(parseReference))
    .filter(({ registry, repository }) => registry === wanted.registry && repository === wanted.repository)
    .sort((a, b) => ((a.tag ?? '') < (b.tag ?? '') ? -1 : 1));
  if (references.length > 0) return references;
  throw new CairnError('IMAGE_NOT_FOUND', {
    message: `An image does not exist locally with the tag: ${familiarRepository(wanted)}`,
    help: '"cairn images" lists what is in the store',
  });
}

function platformOf(text: string | undefined): { readonly platform?: Platform } {
  return text ? { platform: parsePlatform(text, hostPlatform()) } : {};
}

function compressionOf(text: string | undefined): Pick<PushOptions, 'compression'> {
  if (text === undefined) return {};
  if (text === 'gzip' || text === 'zstd') return { compression: text };
  throw new UsageError(`unknown compression "${text}": must be "gzip" or "zstd"`);
}
