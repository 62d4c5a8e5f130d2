import type { Command } from '../command.ts';
import { registryName } from '../registry/registry-name.ts';
import { withRegistries } from '../registry/with-registries.ts';

export const command: Command = {
  usage: '[SERVER]',
  summary: 'Forget the credentials of a registry',
  args: { min: 0, max: 1 },
  flags: [],
  run: ({ host, args: [server] }) =>
    withRegistries(host, async (registries) => {
      const registry = registryName(server);
      const { serverKey } = await import('../../registry/index.ts');
      host.stdout.write(`Removing login credentials for ${serverKey(registry)}\n`);
      await registries.credentials.remove(registry);
      return 0;
    }),
};
