import type { BuildResult, PushedTo } from '../../builder/index.ts';
import { canonicalName, familiarName, type Reference } from '../../oci/index.ts';
import type { LayerCompression } from '../../store/contracts.ts';
import type { Host } from '../host.ts';
import type { OpenStore } from '../open-store.ts';
import { TransferProgress } from './transfer-progress.ts';
import { withRegistries } from './with-registries.ts';

/**
 * Pushes what a build has made under its names (`build --push`). Progress goes to stderr, unless `isQuiet`.
 * @returns what the registry has: its digest is the one that others know the image by; nothing without names
 */
export async function pushBuilt(
  host: Host,
  store: OpenStore,
  names: readonly Reference[],
  { isQuiet, compression }: { readonly isQuiet: boolean; readonly compression?: LayerCompression },
): Promise<Partial<Pick<BuildResult, 'descriptor'>> & { readonly pushed?: readonly PushedTo[] }> {
  if (names.length === 0) return {};
  return withRegistries(host, async (registries) => {
    const { pushImage } = await import('../../registry/index.ts');
    const pushedTo: PushedTo[] = [];
    for (const name of new Map(names.map((each) => [familiarName(each), each])).values()) {
      const progress = new TransferProgress(host.stderr, 'push', host.now);
      const { tag: _, ...repository } = name;
      if (!isQuiet) host.stderr.write(`The push refers to repository [${canonicalName(repository)}]\n`);
      const pushed = await pushImage(registries, store, name, {
        signal: host.signal,
        ...(compression ? { compression } : {}),
        ...(isQuiet ? {} : { onEvent: progress.onEvent }),
      });
      progress.finish();
      pushedTo.push({ reference: name, descriptor: pushed.descriptor });
      if (!isQuiet)
        host.stderr.write(`${name.tag ?? 'latest'}: digest: ${pushed.digest} size: ${pushed.size}\n`);
    }
    const [first] = pushedTo;
    return first === undefined ? {} : { descriptor: first.descriptor, pushed: pushedTo };
  });
}
