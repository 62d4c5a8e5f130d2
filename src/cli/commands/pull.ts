import { CairnError } from '../../errors/index.ts';
import {
  canonicalName,
  familiarName,
  familiarRepository,
  formatPlatform,
  hostPlatform,
  normalizePlatform,
  type Platform,
  parsePlatform,
  parseReference,
  type Reference,
} from '../../oci/index.ts';
import type { Registries } from '../../registry/index.ts';
import type { Command, Invocation } from '../command.ts';
import type { Host } from '../host.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { referenceWithTag } from '../registry/default-tag.ts';
import { TransferProgress } from '../registry/transfer-progress.ts';
import { withRegistries } from '../registry/with-registries.ts';

export const command: Command = {
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  summary: 'Bring an image from a registry into the store',
  args: { min: 1, max: 1 },
  flags: [
    { name: 'all-tags', short: 'a', kind: 'bool', help: 'Pull every tag of the repository' },
    { name: 'disable-content-trust', kind: 'bool' },
    { name: 'platform', kind: 'string', help: 'Pull the image of this platform (os/architecture[/variant])' },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Print nothing but the name' },
  ],
  run: (invocation) =>
    withStore(invocation.host, (store) =>
      withRegistries(invocation.host, (registries) => pull(invocation, store, registries)),
    ),
};

async function pull(
  { host, flags, args: [name = ''] }: Invocation,
  store: OpenStore,
  registries: Registries,
): Promise<number> {
  const isQuiet = flags.bool('quiet');
  const text = flags.text('platform') ?? host.env.DOCKER_DEFAULT_PLATFORM;
  const options = { isQuiet, ...(text ? { platform: parsePlatform(text, hostPlatform()) } : {}) };
  if (flags.bool('all-tags')) return pullAll(parseReference(name), { host, store, registries, ...options });
  const reference = referenceWithTag(name, isQuiet ? null : host.stdout);
  const status = await pullOne(reference, { host, store, registries, ...options });
  if (!isQuiet) host.stdout.write(`Status: ${status} for ${familiarName(reference)}\n`);
  host.stdout.write(`${canonicalName(reference)}\n`);
  return 0;
}

interface PullContext {
  readonly host: Host;
  readonly store: OpenStore;
  readonly registries: Registries;
  readonly isQuiet: boolean;
  readonly platform?: Platform;
}

async function pullAll(reference: Reference, context: PullContext): Promise<number> {
  if (reference.tag !== undefined || reference.digest !== undefined)
    throw new CairnError('USAGE', { message: "tag can't be used with --all-tags/-a" });
  const { host, registries, isQuiet } = context;
  const repository = familiarRepository(reference);
  const tags: string[] = [];
  // The registry itself: mirrors keep images, not lists.
  const client = await registries.repository(reference);
  for await (const tag of client.tags(`cannot list the tags of ${repository}`, host.signal)) tags.push(tag);
  let isAnyNew = false;
  for (const tag of tags) if ((await pullOne({ ...reference, tag }, context)) !== upToDate) isAnyNew = true;
  if (!isQuiet) host.stdout.write(`Status: ${isAnyNew ? downloaded : upToDate} for ${repository}\n`);
  host.stdout.write(`${canonicalName(reference)}\n`);
  return 0;
}

const upToDate = 'Image is up to date';
const downloaded = 'Downloaded newer image';

/** @returns Docker's words for what happened */
async function pullOne(
  reference: Reference,
  { host, store, registries, isQuiet, platform }: PullContext,
): Promise<string> {
  const { pullImage, shownRepository } = await import('../../registry/index.ts');
  const { stdout, signal, now } = host;
  const progress = new TransferProgress(stdout, 'pull', now);
  const { record, digest, isNew, isOtherPlatform } = await pullImage(registries, store, reference, {
    signal,
    ...(platform && { platform }),
    ...(isQuiet
      ? {}
      : {
          onEvent: (event) => {
            if (event.type === 'resolved')
              stdout.write(
                `${reference.digest ?? reference.tag}: Pulling from ${shownRepository(reference)}\n`,
              );
            else progress.onEvent(event);
          },
        }),
  });
  progress.finish();
  if (!isQuiet) stdout.write(`Digest: ${digest}\n`);
  if (isOtherPlatform && platform)
    host.stderr.write(
      `WARNING: image with reference ${familiarName(reference)} was found but its platform (${formatPlatform(normalizePlatform(record.config))}) does not match the specified platform (${formatPlatform(platform)})\n`,
    );
  return isNew ? downloaded : upToDate;
}
