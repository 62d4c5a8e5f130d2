import { CairnError, hasCode } from '../../errors/index.ts';
import {
  type Descriptor,
  decodeImageConfig,
  decodeIndex,
  decodeManifest,
  familiarName,
  type Platform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../../oci/index.ts';
import type { FetchedManifest, Registries, RepositoryClient } from '../../registry/index.ts';
import type { Command, Invocation } from '../command.ts';
import { withRegistries } from '../registry/with-registries.ts';

export const command: Command = {
  usage: '[OPTIONS] [MANIFEST_LIST] MANIFEST',
  summary: 'Show a manifest, or list of manifests, as a registry has it',
  args: { min: 1, max: 2 },
  flags: [
    { name: 'insecure', kind: 'bool', help: 'Accepted for scripts: configuration says which registries are' },
    { name: 'verbose', short: 'v', kind: 'bool', help: 'Show descriptors and platforms, too' },
  ],
  run: (invocation) => withRegistries(invocation.host, (registries) => inspect(invocation, registries)),
};

async function inspect({ host, flags, args }: Invocation, registries: Registries): Promise<number> {
  const reference = withDefaultTag(parseReference(args.at(-1) ?? ''));
  const shown = familiarName(reference);
  const doing = `cannot inspect ${shown}`;
  const client = await registries.repository(reference);
  const fetched = await fetch(client, reference, { doing, shown, signal: host.signal });
  const document = flags.bool('verbose')
    ? await verbose(client, reference, fetched, { doing, signal: host.signal })
    : JSON.parse(fetched.bytes.toString('utf8'));
  host.stdout.write(`${JSON.stringify(document, null, '\t')}\n`);
  return 0;
}

interface Asking {
  readonly doing: string;
  readonly signal: AbortSignal;
}

async function fetch(
  client: RepositoryClient,
  { digest, tag = 'latest' }: Reference,
  { doing, shown, signal }: Asking & { readonly shown: string },
): Promise<FetchedManifest> {
  try {
    return await client.getManifest(digest ?? tag, doing, signal);
  } catch (error) {
    if (!hasCode(error, 'REGISTRY_NOT_FOUND')) throw error;
    // Docker's words, which scripts look for.
    throw new CairnError('REGISTRY_NOT_FOUND', { message: `no such manifest: ${shown}`, cause: error });
  }
}

/** `docker manifest inspect -v`: an object for one manifest, an array for a list. */
async function verbose(
  client: RepositoryClient,
  reference: Reference,
  fetched: FetchedManifest,
  asking: Asking,
): Promise<unknown> {
  const { isIndexType } = await import('../../registry/index.ts');
  if (!isIndexType(fetched.mediaType)) {
    const platform = await platformOf(client, fetched, asking);
    return entry(familiarName(reference), fetched, platform);
  }
  const { tag: _, ...repository } = reference;
  const entries: unknown[] = [];
  for (const item of decodeIndex(fetched.bytes.toString('utf8'), `index ${fetched.digest}`).manifests) {
    const manifest = await client.getManifest(item.digest, asking.doing, asking.signal);
    entries.push(entry(familiarName({ ...repository, digest: item.digest }), manifest, item.platform));
  }
  return entries;
}

async function platformOf(
  client: RepositoryClient,
  fetched: FetchedManifest,
  { doing, signal }: Asking,
): Promise<Platform> {
  const { fetchConfig } = await import('../../registry/index.ts');
  const { config } = decodeManifest(fetched.bytes.toString('utf8'), `manifest ${fetched.digest}`);
  const bytes = await fetchConfig([client], config, { doing, signal });
  const { os, architecture, variant } = decodeImageConfig(bytes.toString('utf8'), `config ${config.digest}`);
  return { architecture, os, ...(variant ? { variant } : {}) };
}

function entry(
  name: string,
  { mediaType, digest, bytes }: FetchedManifest,
  platform: Descriptor['platform'],
) {
  const isDocker = mediaType.includes('docker');
  return {
    Ref: name,
    Descriptor: { mediaType, digest, size: bytes.length, ...(platform && { platform }) },
    Raw: bytes.toString('base64'),
    [isDocker ? 'SchemaV2Manifest' : 'OCIManifest']: JSON.parse(bytes.toString('utf8')) as unknown,
  };
}
