import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { Registries, type RegistriesOptions } from '../../../src/registry/index.ts';
import { type LocalStore, openStore } from '../../../src/store/index.ts';
import { scratchFolder } from '../../support/scratch.ts';

/** Registries that know nothing but what a test tells them, and do not wait long. */
export function testRegistries(options: Partial<RegistriesOptions> = {}): Registries {
  const registries = new Registries({
    env: { HOME: '/nonexistent' },
    now: () => 0,
    settingsFiles: [],
    certificateFolders: [],
    retry: { delaysMs: [1, 1, 1] },
    ...options,
  });
  onTestFinished(() => registries.close());
  return registries;
}

/** An empty store, removed with the test. */
export function freshStore(): LocalStore {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  onTestFinished(() => store.close());
  return store;
}
