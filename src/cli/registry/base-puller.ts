import type { BuildOptions } from '../../builder/index.ts';
import { familiarName } from '../../oci/index.ts';
import type { Host } from '../host.ts';
import type { OpenStore } from '../open-store.ts';
import { TransferProgress } from './transfer-progress.ts';
import { withRegistries } from './with-registries.ts';

type Puller = NonNullable<BuildOptions['pull']>;

/**
 * What `build` and `run` bring missing images in with; each is looked up once. Progress goes to stderr, if `isShown`.
 * @returns undefined with `CAIRN_OFFLINE`: then images must be in the store
 */
export function basePuller(host: Host, store: OpenStore, isShown: boolean): Puller | undefined {
  if (host.env.CAIRN_OFFLINE) return undefined;
  const known = new Map<string, ReturnType<Puller>>();
  return (reference, platform) => {
    const key = `${familiarName(reference)} ${JSON.stringify(platform)}`;
    const pulled =
      known.get(key) ??
      withRegistries(host, async (registries) => {
        const { pullImage, shownRepository } = await import('../../registry/index.ts');
        const progress = new TransferProgress(host.stderr, 'pull', host.now);
        const shownTag = reference.digest ?? reference.tag;
        const { record } = await pullImage(registries, store, reference, {
          platform,
          signal: host.signal,
          ...(isShown && {
            onEvent: (event) => {
              if (event.type === 'resolved')
                host.stderr.write(`${shownTag}: Pulling from ${shownRepository(reference)}\n`);
              else progress.onEvent(event);
            },
          }),
        });
        progress.finish();
        return record;
      });
    known.set(key, pulled);
    return pulled;
  };
}
