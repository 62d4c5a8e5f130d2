import { RemoteCache } from '../../builder/index.ts';
import type { Registries } from '../../registry/index.ts';
import type { FlagValues } from '../flags/index.ts';
import type { Host } from '../host.ts';
import type { OpenStore } from '../open-store.ts';
import { cacheSourcesOf, cacheTargetsOf } from './cache-flags.ts';

/**
 * Does `work` with the remote caches that the flags name, or with none. What is to be said about them goes to stderr, unless `isQuiet`.
 * @throws {CairnError} CACHE_INVALID for a flag that makes no sense
 */
export async function withRemoteCache<T>(
  flags: FlagValues,
  { host, store, isQuiet }: { readonly host: Host; readonly store: OpenStore; readonly isQuiet: boolean },
  work: (cache: RemoteCache | null) => Promise<T>,
): Promise<T> {
  const sources = cacheSourcesOf(flags.list('cache-from'), host);
  const targets = cacheTargetsOf(flags.list('cache-to'), host);
  if (sources.length === 0 && targets.length === 0) return work(null);
  let registries: Promise<Registries> | null = null;
  const open = async () => {
    const { Registries } = await import('../../registry/index.ts');
    return new Registries({ env: host.env, now: host.now });
  };
  const notes: string[] = [];
  const cache = new RemoteCache({
    store,
    sources,
    targets,
    registries: () => {
      registries ??= open();
      return registries;
    },
    // A terminal that shows progress is not written to meanwhile.
    onNote: (note) => notes.push(note),
    signal: host.signal,
  });
  try {
    return await work(cache);
  } finally {
    if (!isQuiet) for (const note of notes) host.stderr.write(`WARNING: ${note}\n`);
    await (registries as Promise<Registries> | null)?.then((opened) => opened.close());
  }
}
