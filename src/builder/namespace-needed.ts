import { CairnError, type Span } from '../errors/index.ts';

/** RUN cannot be executed in this process, but in one that has entered a user namespace. */
export function namespaceNeeded(at?: Span): CairnError {
  return new CairnError('NAMESPACE_NEEDED', {
    message: 'executing RUN needs mounts, which this process may not make',
    ...(at ? { at } : {}),
    help: 'run cairn as root, or in a user namespace (unshare --map-root-user --map-auto --mount --pid --fork --mount-proc)',
  });
}
