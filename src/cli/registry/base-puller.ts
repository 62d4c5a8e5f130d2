import type { BuildOptions } from '../../builder/index.ts';
import { familiarName } from '../../oci/index.ts';
import type { Host } from '../host.ts';
import type { OpenStore } from '../open-store.ts';
import { TransferProgress } from './transfer-progress.ts';
import { withRegistries } from './with-registries.ts';

/** What `build` brings base images in with; each is looked up once in a build. Progress goes to stderr, if `isShown`. */
export function basePuller(
  host: Host,
  store: OpenStore,
  isShown: boolean,
): NonNullable<BuildOptions['pull']> {
  const known = new Map<string, ReturnType<NonNullable<BuildOptions['pull']>>>();
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
