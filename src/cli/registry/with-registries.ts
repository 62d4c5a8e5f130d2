import type { Registries } from '../../registry/index.ts';
import type { Host } from '../host.ts';

/** The registries as the user of this command reaches them, closed afterwards, whatever happens. The client is loaded here only. */
export async function withRegistries<T>(
  host: Host,
  work: (registries: Registries) => Promise<T>,
): Promise<T> {
  const { Registries } = await import('../../registry/index.ts');
  const registries = new Registries({ env: host.env, now: host.now });
  try {
    return await work(registries);
  } finally {
    await registries.close();
  }
}
