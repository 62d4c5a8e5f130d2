import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { isInsecure, type RegistrySettings, splitHost } from './registry-settings.ts';

/** A place that serves a registry's content: a mirror, or the registry itself. */
export interface Endpoint {
  /** `host[:port]`, for messages, credentials and certificates. */
  readonly host: string;
  /** Base URLs (below which is `v2/`) in the order in which they are tried: https, then http if that is acceptable. */
  readonly urls: readonly URL[];
  readonly isMirror: boolean;
  /** Any certificate will do. */
  readonly isInsecure: boolean;
}

/** Docker Hub answers under another name than images have. */
const dockerHubHost = 'registry-1.docker.io';

/** Mirrors in their order, then the registry. @param registry - as in a reference: `docker.io`, `localhost:5000` */
export async function endpointsOf(
  registry: string,
  settings: RegistrySettings,
): Promise<readonly Endpoint[]> {
  const mirrors = await Promise.all(
    (settings.mirrors.get(registry) ?? []).map(async (url): Promise<Endpoint> => {
      const isInsecureMirror = await isInsecureHost(url.host, settings);
      // A mirror whose URL says http is plain; one that says https stays with TLS, whatever its certificate.
      return { host: url.host, urls: [withSlash(url)], isMirror: true, isInsecure: isInsecureMirror };
    }),
  );
  return [...mirrors, await endpointOf(registry, settings)];
}

/** The registry itself. */
export async function endpointOf(registry: string, settings: RegistrySettings): Promise<Endpoint> {
  const host = registry === 'docker.io' ? dockerHubHost : registry;
  const insecure = await isInsecureHost(host, settings);
  const schemes = insecure ? ['https', 'http'] : ['https'];
  return {
    host,
    urls: schemes.map((scheme) => new URL(`${scheme}://${host}/`)),
    isMirror: false,
    isInsecure: insecure,
  };
}

async function isInsecureHost(host: string, { insecure }: RegistrySettings): Promise<boolean> {
  const { name } = splitHost(host);
  if (isIP(name) !== 0) return isInsecure(host, [name], insecure);
  // RFC 6761: such names are this machine, whoever answers for them.
  if (name === 'localhost' || name.endsWith('.localhost')) return isInsecure(host, ['127.0.0.1'], insecure);
  if (isInsecure(host, [], insecure)) return true;
  if (!insecure.some((entry) => entry.includes('/') && !isLoopback(entry))) return false;
  const found = await lookup(name, { all: true }).catch(() => []);
  return isInsecure(
    host,
    found.map(({ address }) => address),
    insecure,
  );
}

/** Names that lead to a loopback address without being `localhost` are not looked up for that alone. */
function isLoopback(entry: string): boolean {
  return entry === '127.0.0.0/8' || entry === '::1/128';
}

function withSlash(url: URL): URL {
  return url.pathname.endsWith('/') ? url : new URL(`${url.href}/`);
}
