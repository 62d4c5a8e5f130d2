import * as fs from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** How registries are reached, as configuration files say it. */
export interface RegistrySettings {
  /** By registry (`docker.io`): URLs to try before the registry itself, in order. */
  readonly mirrors: ReadonlyMap<string, readonly URL[]>;
  /** Hosts (with port, or without for any port) and networks (CIDR) that may lack a valid certificate, or TLS. */
  readonly insecure: readonly string[];
}

/** Docker's engine trusts this machine's own addresses. */
const loopback: readonly string[] = ['127.0.0.0/8', '::1/128'];

const fileSchema = v.looseObject({
  'registry-mirrors': v.optional(v.array(v.string())),
  'insecure-registries': v.optional(v.array(v.string())),
  mirrors: v.optional(v.record(v.string(), v.array(v.string()))),
});

/**
 * The files that say how registries are reached, most important first: Cairn's own of the user (or `$CAIRN_CONFIG` alone in
 * place of both of Cairn's), Cairn's of the machine, Docker's engine's.
 */
export function settingsFiles(env: Environment): readonly string[] {
  const user = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, '.config') : undefined);
  const own = env.CAIRN_CONFIG
    ? [env.CAIRN_CONFIG]
    : [...(user ? [join(user, 'cairn/config.json')] : []), '/etc/cairn/config.json'];
  return [...own, '/etc/docker/daemon.json'];
}

/**
 * Reads files that exist: `registry-mirrors` (of docker.io) and `insecure-registries` as in Docker's daemon.json, and `mirrors`,
 * an object of lists by registry. Mirrors of a file come before those of later ones.
 * @throws {CairnError} REGISTRY_CONFIG_INVALID
 */
export function readRegistrySettings(files: readonly string[]): RegistrySettings {
  const mirrors = new Map<string, URL[]>();
  const insecure = [...loopback];
  for (const file of files) {
    const settings = readFile(file);
    if (settings === null) continue;
    const lists = {
      ...settings.mirrors,
      'docker.io': [...(settings.mirrors?.['docker.io'] ?? []), ...(settings['registry-mirrors'] ?? [])],
    };
    for (const [registry, urls] of Object.entries(lists)) {
      const known = mirrors.get(registry) ?? [];
      const added = urls.map((url) => mirrorUrl(url, file));
      mirrors.set(registry, [
        ...known,
        ...added.filter((url) => !known.some(({ href }) => href === url.href)),
      ]);
    }
    insecure.push(...(settings['insecure-registries'] ?? []));
  }
  return { mirrors, insecure };
}

/**
 * True when `host` (`name[:port]`) is one of `insecure`: by name, by name and port, or as an address in a network.
 * @param addresses - what the name resolves to; its own address when it is one
 */
export function isInsecure(host: string, addresses: readonly string[], insecure: readonly string[]): boolean {
  const { name } = splitHost(host);
  return insecure.some((entry) => {
    if (entry.includes('/') && !entry.includes('://'))
      return addresses.some((address) => isInNetwork(address, entry));
    const wanted = entry
      .replace(/^https?:\/\//, '')
      .replace(/\/+$/, '')
      .toLowerCase();
    return wanted === host.toLowerCase() || wanted === name;
  });
}

/** Host name in lower case without brackets, and port if there is one. */
export function splitHost(host: string): { readonly name: string; readonly port?: string } {
  const [, name = host, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(host) ?? [];
  const bare = name.replace(/^\[|\]$/g, '').toLowerCase();
  return port === undefined ? { name: bare } : { name: bare, port };
}

function readFile(file: string): v.InferOutput<typeof fileSchema> | null {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // What this user may not read was not meant for this user.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return null;
    throw error;
  }
  try {
    return text.trim() === '' ? null : v.parse(fileSchema, JSON.parse(text));
  } catch (cause) {
    const place =
      cause instanceof v.ValiError
        ? `: "${v.getDotPath(cause.issues[0]) ?? ''}" has the wrong form`
        : ' is not JSON';
    throw new CairnError('REGISTRY_CONFIG_INVALID', { message: `${file}${place}`, cause });
  }
}

function mirrorUrl(text: string, file: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isUsable =
    url !== null &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    url.username === '' &&
    url.search === '' &&
    url.hash === '';
  if (isUsable) return url;
  throw new CairnError('REGISTRY_CONFIG_INVALID', {
    message: `${file}: "${text.replace(/\/\/[^/]*@/, '//xxxxx@')}" is not the URL of a mirror`,
    help: 'a mirror is https://host[:port] or http://host[:port]; credentials come from "cairn login"',
  });
}

function isInNetwork(address: string, network: string): boolean {
  const [base = '', bits = ''] = network.split('/');
  const kind = isIP(address);
  if (kind === 0 || isIP(base) !== kind || !/^\d{1,3}$/.test(bits)) return false;
  const width = kind === 4 ? 32n : 128n;
  const length = BigInt(bits);
  if (length > width) return false;
  const shift = width - length;
  return toNumber(address) >> shift === toNumber(base) >> shift;
}

function toNumber(address: string): bigint {
  if (isIP(address) === 4) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = address.replace(/%.*$/, '').split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':').flatMap(ipv6Group));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const zeros = new Array<bigint>(Math.max(8 - first.length - last.length, 0)).fill(0n);
  return [...first, ...zeros, ...last].reduce((sum, group) => sum * 65536n + group, 0n);
}

/** One group, or the two that an IPv4 address at the end stands for. */
function ipv6Group(text: string): readonly bigint[] {
  if (!text.includes('.')) return [BigInt(`0x${text}`)];
  const value = toNumber(text);
  return [value >> 16n, value & 0xffffn];
}
