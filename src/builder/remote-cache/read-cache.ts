import { CairnError } from '../../errors/index.ts';
import { type Descriptor, decodeManifest, type Manifest } from '../../oci/index.ts';
import { type CacheDocument, cacheType, decodeCache } from './cache-document.ts';
import { readSmallBlob } from './small-blob.ts';

const maxConfigBytes = 16 << 20;

/** Opens a blob by its descriptor. */
export type OpenBlob = (descriptor: Descriptor) => AsyncIterable<Uint8Array>;

/** Whether a manifest is a cache of Cairn's. */
export function isCache({ config }: Manifest): boolean {
  return config.mediaType === cacheType;
}

/**
 * Reads what a cache's manifest leads to. A blob that its layers do not list does not count: the registry need not keep it.
 * @throws {CairnError} DOCUMENT_INVALID, DIGEST_MISMATCH
 */
export async function readCacheDocument(
  manifestJson: string,
  name: string,
  open: OpenBlob,
): Promise<CacheDocument> {
  const manifest = decodeManifest(manifestJson, `manifest of ${name}`);
  if (!isCache(manifest)) throw notACache(name, manifest.config.mediaType);
  const config = await readSmallBlob(open(manifest.config), manifest.config, {
    name,
    maxBytes: maxConfigBytes,
  });
  const document = decodeCache(config.toString('utf8'), `the cache ${name}`);
  const listed = new Map(manifest.layers.map((item) => [item.digest, item.size]));
  const kept = <K extends string>(key: K, item: Descriptor | undefined) =>
    item !== undefined && listed.get(item.digest) === item.size ? { [key]: item } : {};
  return {
    records: document.records,
    layers: document.layers.map(({ diffId, blob, table }) => ({
      diffId,
      ...kept('blob', blob),
      ...kept('table', table),
    })),
  };
}

/** What is there is something else. */
export function notACache(name: string, type: string): CairnError {
  return new CairnError('CACHE_INVALID', {
    message: `${name} is no cache of Cairn's: it has the type "${type.slice(0, 100)}"`,
    help: 'give the cache a name of its own, such as app:cache',
  });
}
