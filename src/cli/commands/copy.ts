import {
  createReadStream,
  createWriteStream,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';

import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { CairnError } from '../../errors/index.ts';
import {
  hostPlatform,
  type Platform,
  parsePlatform,
  parseReference,
  withDefaultTag,
} from '../../oci/index.ts';
import type { Registries } from '../../registry/index.ts';
import {
  type ArchiveEntry,
  type ImageRecord,
  imageArchive,
  loadImages,
  openStore,
  saveImages,
  selectImages,
  writeArchive,
} from '../../store/index.ts';
import type { Command, Invocation } from '../command.ts';
import type { Host } from '../host.ts';
import { type OpenStore, withStore } from '../open-store.ts';
import { type CopyPlace, parseCopyPlace } from '../registry/copy-place.ts';
import { withRegistries } from '../registry/with-registries.ts';

export const command: Command = {
  usage: '[OPTIONS] SOURCE DESTINATION',
  summary: 'Copy an image between registries, layouts, archives and the store',
  args: { min: 2, max: 2 },
  flags: [
    {
      name: 'platform',
      kind: 'string',
      help: 'Copy the image of this platform only (os/architecture[/variant])',
    },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Accepted for scripts: only the digest is printed' },
  ],
  run: (invocation) =>
    withStore(invocation.host, (store) =>
      withRegistries(invocation.host, (registries) => copy(invocation, store, registries)),
    ),
};

interface CopyContext {
  readonly host: Host;
  readonly store: OpenStore;
  readonly registries: Registries;
  readonly doing: string;
  readonly platform?: Platform;
}

async function copy(
  { host, flags, args: [from = '', to = ''] }: Invocation,
  store: OpenStore,
  registries: Registries,
): Promise<number> {
  const [source, target] = [parseCopyPlace(from, host), parseCopyPlace(to, host)];
  const text = flags.text('platform');
  const context: CopyContext = {
    host,
    store,
    registries,
    doing: `cannot copy ${from} to ${to}`,
    ...(text ? { platform: parsePlatform(text, hostPlatform()) } : {}),
  };
  const digest = await copyBetween(source, target, context);
  host.stdout.write(`${digest}\n`);
  return 0;
}

async function copyBetween(source: CopyPlace, target: CopyPlace, context: CopyContext): Promise<string> {
  // Registries and layouts hand over bytes as they are, and nothing enters the store.
  if (
    (source.kind === 'docker' || source.kind === 'oci') &&
    (target.kind === 'docker' || target.kind === 'oci')
  )
    return copyDirectly(source, target, context);
  if (source.kind === 'docker' && target.kind === 'store') {
    // A pull and a further name: the store keeps where the image is from.
    const { manifestDigest, id } = await bringIn(source, context.store, context);
    context.store.images.tag(manifestDigest, [withDefaultTag(parseReference(target.name))]);
    return id;
  }
  if (source.kind === 'store')
    return sendOut(context.store, context.store.images.get(source.name), target, context);
  // Archives are unpacked somewhere: in a store of their own, which goes with this command.
  const folder = join(context.store.scratch(), 'store');
  const passing = openStore({ root: folder });
  try {
    return await sendOut(passing, await bringIn(source, passing, context), target, context);
  } finally {
    passing.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function copyDirectly(
  source: CopyPlace,
  target: CopyPlace,
  { host, registries, doing, platform }: CopyContext,
): Promise<string> {
  const { copyContent, layoutSink, layoutSource, registrySink, registrySource } = await import(
    '../../registry/index.ts'
  );
  const { signal } = host;
  const from =
    source.kind === 'docker'
      ? registrySource({
          repositories: await registries.sources(source.reference),
          name: source.reference.digest ?? source.reference.tag ?? 'latest',
          doing,
          signal,
        })
      : layoutSource(source as Extract<CopyPlace, { kind: 'oci' }>);
  const into =
    target.kind === 'docker'
      ? registrySink({
          repositories: [await registries.repository(target.reference)],
          name: target.reference.digest ?? target.reference.tag ?? 'latest',
          doing,
          signal,
        })
      : layoutSink(target as Extract<CopyPlace, { kind: 'oci' }>);
  const { digest } = await copyContent(from, into, { doing, signal, ...(platform && { platform }) });
  return digest;
}

/** The image in a store. */
async function bringIn(
  source: Exclude<CopyPlace, { kind: 'store' }>,
  store: OpenStore,
  { host, registries, doing, platform }: CopyContext,
): Promise<ImageRecord> {
  const { signal } = host;
  const options = { signal, ...(platform && { platform }) };
  if (source.kind === 'docker') {
    const { pullImage } = await import('../../registry/index.ts');
    return (await pullImage(registries, store, source.reference, options)).record;
  }
  const input =
    source.kind === 'oci'
      ? writeArchive(entriesOf(source.folder))
      : createReadStream(requireFile(source.path), { highWaterMark: 1 << 20 });
  const loaded = await loadImages(store, input, options);
  const { name } = source;
  const wanted =
    name === undefined
      ? loaded
      : loaded.filter(({ names }) =>
          names.some((each) => each === name || each === `${name}:latest` || each.endsWith(`:${name}`)),
        );
  const [only, ...others] = wanted;
  if (only !== undefined && others.length === 0) return only.record;
  throw new CairnError('IMAGE_NOT_FOUND', {
    message: `${doing}: ${name === undefined ? `the source has ${wanted.length} images` : `the source has no image "${name}"`}`,
    help: 'name one behind a colon: oci-archive:FILE:NAME',
  });
}

async function sendOut(
  store: OpenStore,
  record: ImageRecord,
  target: CopyPlace,
  context: CopyContext,
): Promise<string> {
  const { host, registries } = context;
  const { signal } = host;
  switch (target.kind) {
    case 'store': {
      const own = store === context.store ? record : await handOver(store, record, context);
      context.store.images.tag(own.manifestDigest, [withDefaultTag(parseReference(target.name))]);
      return own.id;
    }
    case 'docker': {
      // For the push it must have the name that it gets.
      store.images.tag(record.manifestDigest, [target.reference]);
      const { pushImage } = await import('../../registry/index.ts');
      return (await pushImage(registries, store, target.reference, { signal })).digest;
    }
    case 'oci': {
      const { copyContent, layoutSink, layoutSource } = await import('../../registry/index.ts');
      // A store is a layout: the image is read from it as from any other.
      const from = layoutSource({ folder: store.root, ...(await inLayout(store, record)) });
      return (await copyContent(from, layoutSink(target), { doing: context.doing, signal })).digest;
    }
    case 'archive':
      return archive(store, record, target, context);
  }
}

/** From the passing store into the user's, without the names that it has there. */
async function handOver(
  passing: OpenStore,
  record: ImageRecord,
  { store, host }: CopyContext,
): Promise<ImageRecord> {
  const nameless = imageArchive(passing, [{ ...record, tags: [] }]);
  const [loaded] = await loadImages(store, nameless, { signal: host.signal });
  return loaded?.record ?? store.images.get(record.id);
}

/** A name for the image in the store's own index.json. */
async function inLayout(store: OpenStore, record: ImageRecord): Promise<{ readonly name: string }> {
  const [tag] = record.tags;
  if (tag !== undefined) return { name: tag };
  const name = parseReference(`cairn-copy:${record.id.slice(7, 19)}`);
  store.images.tag(record.manifestDigest, [name]);
  return { name: `cairn-copy:${record.id.slice(7, 19)}` };
}

async function archive(
  store: OpenStore,
  record: ImageRecord,
  target: Extract<CopyPlace, { kind: 'archive' }>,
  { host }: CopyContext,
): Promise<string> {
  const file = createWriteStream(target.path);
  try {
    const named = target.name === undefined ? record : { ...record, tags: [target.name] };
    const images =
      target.name === undefined && record.tags[0] !== undefined
        ? selectImages(store, [record.tags[0]])
        : [named];
    await saveImages(store, images, file, { signal: host.signal });
    file.end();
    await finished(file);
    return record.id;
  } catch (error) {
    file.destroy();
    // Half an archive must not pass for one.
    rmSync(target.path, { force: true });
    throw error;
  }
}

/** The files of a layout as an archive has them. */
function* entriesOf(folder: string): Generator<ArchiveEntry> {
  requireFile(join(folder, 'index.json'));
  for (const name of ['oci-layout', 'index.json']) {
    const bytes = existsSync(join(folder, name)) ? readFileSync(join(folder, name)) : Buffer.from('{}');
    yield { name, size: bytes.length, open: () => [bytes] };
  }
  const blobs = join(folder, 'blobs/sha256');
  for (const name of readdirSync(blobs).sort()) {
    const path = join(blobs, name);
    yield {
      name: `blobs/sha256/${name}`,
      size: statSync(path).size,
      open: () => createReadStream(path, { highWaterMark: 1 << 20 }),
    };
  }
}

function requireFile(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  throw new CairnError('INPUT_UNREADABLE', { message: `open ${path}: no such file` });
}
