import { isIP } from 'node:net';

export type HostEnv = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment names for a URL (`http_proxy`, `https_proxy`, `all_proxy`, `no_proxy`, in either case), as Go's
 * programs read it: this machine's own addresses never go through one.
 * @returns null for none
 */
export function proxyForUrl(url: URL, env: HostEnv): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  if (host === 'localhost' || host.startsWith('127.') || host === '::1') return null;
  const proxy = read(env, url.protocol === 'https:' ? 'https_proxy' : 'http_proxy') ?? read(env, 'all_proxy');
  if (proxy === undefined || isExcluded(host, url.port || defaultPort(url), read(env, 'no_proxy') ?? ''))
    return null;
  return proxy.includes('://') ? proxy : `http://${proxy}`;
}

function read(env: HostEnv, name: string): string | undefined {
  return env[name] || env[name.toUpperCase()] || undefined;
}

function defaultPort(url: URL): string {
  return url.protocol === 'https:' ? '443' : '80';
}

function isExcluded(host: string, port: string, list: string): boolean {
  return list
    .split(/[,\s]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matches(entry.toLowerCase(), host, port));
}

function matches(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  const [, pattern = entry, onlyPort] = /^(.+?)(?::(\d+))?$/.exec(isIP(entry) ? `[${entry}]` : entry) ?? [];
  if (onlyPort !== undefined && onlyPort !== port) return false;
  const name = pattern.replace(/^\[|\]$/g, '');
  if (name.includes('/')) return isInNetwork(host, name);
  if (name.startsWith('.')) return host.endsWith(name);
  if (name.startsWith('*.')) return host.endsWith(name.slice(1));
  return host === name || (isIP(host) === 0 && host.endsWith(`.${name}`));
}

/** IPv4 only: nobody writes longer networks into no_proxy. */
function isInNetwork(host: string, network: string): boolean {
  const [base = '', bits = ''] = network.split('/');
  if (isIP(host) !== 4 || isIP(base) !== 4 || !/^\d+$/.test(bits) || Number(bits) > 32) return false;
  const mask = Number(bits) === 0 ? 0 : (~0 << (32 - Number(bits))) >>> 0;
  return (toNumber(host) & mask) >>> 0 === (toNumber(base) & mask) >>> 0;
}

function toNumber(address: string): number {
  return address.split('.').reduce((value, part) => (value * 256 + Number(part)) >>> 0, 0);
}
