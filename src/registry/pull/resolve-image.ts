import { CairnError } from '../../errors/index.ts';
import { decodeIndex, type Platform, type Reference } from '../../oci/index.ts';
import type { FetchedManifest, RepositoryClient } from '../client/repository-client.ts';
import { choosePlatform } from './choose-platform.ts';
import { isIndexType } from './media-types.ts';

/** What a name leads to. */
export interface ResolvedImage {
  /** What the name itself stands for: an index, or the manifest. */
  readonly top: FetchedManifest;
  /** The manifest for the platform. */
  readonly manifest: FetchedManifest;
  /** Where it was found, then where else to look for blobs. */
  readonly sources: readonly RepositoryClient[];
}

export interface ResolveOptions {
  /** Begins error messages. */
  readonly doing: string;
  /** The host's when null: then an image that is for another platform, and the only one, will do. */
  readonly platform: Platform | null;
  readonly signal?: AbortSignal;
}

/**
 * Asks the sources in order until one has the image, and chooses its manifest for the platform.
 * @throws {CairnError} what the last source's answer means; notes say what the others answered
 */
export async function resolveImage(
  sources: readonly RepositoryClient[],
  reference: Reference,
  options: ResolveOptions,
): Promise<ResolvedImage> {
  const wanted = reference.digest ?? reference.tag ?? 'latest';
  return fromFirst(sources, options.signal, async (source, rest) => {
    const top = await source.getManifest(wanted, options.doing, options.signal);
    const found = [source, ...rest];
    if (!isIndexType(top.mediaType)) return { top, manifest: top, sources: found };
    const index = decodeIndex(top.bytes.toString('utf8'), `index ${top.digest}`);
    const chosen = choosePlatform(index, options.platform, options.doing);
    const manifest = await source.getManifest(chosen.digest, options.doing, options.signal);
    return { top, manifest, sources: found };
  });
}

/** Tries mirrors, then the registry. */
async function fromFirst<T>(
  sources: readonly RepositoryClient[],
  signal: AbortSignal | undefined,
  work: (source: RepositoryClient, rest: readonly RepositoryClient[]) => Promise<T>,
): Promise<T> {
  const failures: CairnError[] = [];
  for (const [at, source] of sources.entries()) {
    try {
      return await work(source, sources.slice(at + 1));
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof CairnError)) throw error;
      failures.push(error);
    }
  }
  const last = failures.pop();
  if (last === undefined) throw new Error('an image is looked for in no place');
  if (failures.length === 0) throw last;
  throw new CairnError(last.code, {
    message: last.message,
    notes: [
      ...last.notes,
      ...failures.map((failure) => ({ message: `a mirror failed before: ${failure.message}` })),
    ],
    cause: last,
    ...(last.help === undefined ? {} : { help: last.help }),
  });
}
