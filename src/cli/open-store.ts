import { type LocalStore, openStore } from '../store/index.ts';
import type { Host } from './host.ts';

export type OpenStore = LocalStore;

/** Opens the store for one command and closes it afterwards, whatever happens. */
export async function withStore<T>(host: Host, work: (store: OpenStore) => T | Promise<T>): Promise<T> {
  const store = openStore({ root: host.root, now: host.now });
  try {
    return await work(store);
  } finally {
    store.close();
  }
}
