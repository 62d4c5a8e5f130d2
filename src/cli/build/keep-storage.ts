import { pruneCache } from '../../store/index.ts';
import { UsageError } from '../command.ts';
import type { FlagValues } from '../flags/index.ts';
import { humanSize, parseByteSize } from '../format/index.ts';
import type { Host } from '../host.ts';
import type { OpenStore } from '../open-store.ts';

/** The limit of the cache: `--keep-storage`, else `$CAIRN_KEEP_STORAGE`; null for none. @throws {UsageError} */
export function keepStorageOf(flags: FlagValues, env: Host['env']): number | null {
  const text = flags.text('keep-storage') ?? env.CAIRN_KEEP_STORAGE ?? '';
  if (text === '') return null;
  const bytes = parseByteSize(text);
  if (bytes === null) throw new UsageError(`invalid size "${text}" for the storage to keep`);
  return bytes;
}

/** Brings the cache below a limit after a build; what the build has used is leased, and stays. */
export function keepStorage(host: Host, store: OpenStore, limitBytes: number | null): void {
  if (limitBytes === null) return;
  const { steps, mounts, sources, unpacked, reclaimedBytes } = pruneCache(store, {
    keepStorageBytes: limitBytes,
  });
  const count = steps.length + mounts.length + sources.length + unpacked.length;
  if (count > 0)
    host.stderr.write(`removed ${count} of the least used from the cache: ${humanSize(reclaimedBytes, 4)}\n`);
}
