import type { RemovedItem } from '../store/index.ts';

/** `Untagged: x:1` and `Deleted: sha256:…`; the prune commands write the words in lower case. */
export function removalLine(item: RemovedItem, capital: boolean): string {
  const line = item.kind === 'untagged' ? `untagged: ${item.name}` : `deleted: ${item.digest}`;
  return capital ? line.charAt(0).toUpperCase() + line.slice(1) : line;
}
