import { readFileSync } from 'node:fs';
import type { NetworkMode } from './contracts.ts';

/** /etc/hosts as BuildKit writes it: constant for a given host name, then the pairs of `--add-host` in order. */
export function hostsFile(
  hostname: string,
  extraHosts: readonly (readonly [name: string, ip: string])[] = [],
): string {
  const extra = extraHosts.map(([name, ip]) => `${ip}\t${name}\n`).join('');
  return `127.0.0.1\tlocalhost ${hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n${extra}`;
}

/**
 * /etc/resolv.conf: the host's own when the command shares the host's network (a resolver on 127.0.0.53 is then reachable
 * too), empty without a network, so that nothing of the host shows.
 */
export function resolvConf(network: NetworkMode, hostFile = '/etc/resolv.conf'): string {
  if (network === 'none') return '';
  try {
    return readFileSync(hostFile, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
