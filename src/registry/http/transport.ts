import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { CairnError } from '../../errors/index.ts';
import type { HttpBody, HttpRequest, HttpResponse } from './http-message.ts';
import { type HostEnv, proxyForUrl } from './proxy-for-url.ts';
import { systemAuthorities } from './system-authorities.ts';

/** How connections to a host are secured. Equal settings must be one object: connections are pooled by it. */
export interface TlsSettings {
  /** Authorities in PEM; Node's own list when absent. */
  readonly ca?: readonly string[];
  /** Further ones. */
  readonly extraCa?: readonly string[];
  /** PEM of the client's certificate and key. */
  readonly cert?: string;
  readonly key?: string;
  /** False takes any certificate. */
  readonly isVerified: boolean;
}

export interface TransportOptions {
  /** For the proxy variables. */
  readonly env: HostEnv;
  /** How to secure connections to `host` (with port when it is not the default); by the machine's authorities when absent. */
  readonly tlsFor?: (host: string) => TlsSettings | undefined;
  /** Pause of a peer in the middle of an answer that counts as a lost connection, in milliseconds; 60 s by default. */
  readonly idleTimeoutMs?: number;
}

/** Connections at once to one host. */
const connectionsPerHost = 8;
const connectTimeoutMs = 30_000;
/** A registry may take its time to hash what was uploaded. */
const headersTimeoutMs = 300_000;

/**
 * The one place that opens connections: pools, TLS, proxies of the environment. No redirects, no retries, no credentials but
 * those that a request carries. `close` must be called.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #dispatchers = new Map<TlsSettings | undefined, Map<string, Promise<Dispatcher>>>();
  #system: TlsSettings | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /** As `Send`. */
  readonly send = async (request: HttpRequest): Promise<HttpResponse> => {
    const { request: call } = await import('undici');
    const { method, url, headers, body, signal } = request;
    const response = await call(url, {
      method,
      // A compressed answer would hide the length that ranges and checks go by.
      headers: { 'accept-encoding': 'identity', 'user-agent': 'cairn', ...headers },
      dispatcher: await this.#dispatcher(url),
      ...(body === undefined
        ? {}
        : { body: (typeof body === 'function' ? body() : body) as Readable | string }),
      ...(signal && { signal }),
    });
    return new Response(url, response);
  };

  /** Ends all connections. */
  async close(): Promise<void> {
    const open = [...this.#dispatchers.values()].flatMap((pools) => [...pools.values()]);
    this.#dispatchers.clear();
    await Promise.all(open.map(async (dispatcher) => (await dispatcher).destroy()));
  }

  #dispatcher(url: URL): Promise<Dispatcher> {
    const tls = url.protocol === 'https:' ? this.#tlsFor(url.host) : undefined;
    const proxy = proxyForUrl(url, this.#options.env) ?? '';
    const pools = this.#dispatchers.get(tls) ?? new Map<string, Promise<Dispatcher>>();
    this.#dispatchers.set(tls, pools);
    // Plain requests to a proxy are not tunnelled, those with TLS are: two pools.
    const key = `${url.protocol}${proxy}`;
    const made = pools.get(key) ?? this.#connect(proxy, url.protocol === 'https:', tls);
    pools.set(key, made);
    return made;
  }

  #tlsFor(host: string): TlsSettings | undefined {
    const { tlsFor, env } = this.#options;
    if (tlsFor !== undefined) return tlsFor(host);
    const authorities = this.#system === undefined ? systemAuthorities(env) : null;
    this.#system ??= { isVerified: true, ...(authorities === null ? {} : { ca: [authorities] }) };
    return this.#system;
  }

  async #connect(proxy: string, isTunnel: boolean, tls: TlsSettings | undefined): Promise<Dispatcher> {
    const { Agent, ProxyAgent } = await import('undici');
    const settings = {
      connections: connectionsPerHost,
      headersTimeout: headersTimeoutMs,
      bodyTimeout: this.#options.idleTimeoutMs ?? 60_000,
    };
    const connect = { timeout: connectTimeoutMs, ...(await tlsOptions(tls)) };
    return proxy === ''
      ? new Agent({ ...settings, connect })
      : new ProxyAgent({ ...settings, uri: proxy, proxyTunnel: isTunnel, requestTls: connect });
  }
}

/** One context for all connections: parsing a machine's authorities takes as long as a handshake. */
async function tlsOptions(tls: TlsSettings | undefined): Promise<Record<string, unknown>> {
  if (tls === undefined) return {};
  const { createSecureContext, rootCertificates } = await import('node:tls');
  const { ca, extraCa = [], cert, key, isVerified } = tls;
  const authorities = [...(ca ?? (extraCa.length === 0 ? [] : rootCertificates)), ...extraCa];
  const secureContext = createSecureContext({
    ...(authorities.length > 0 && { ca: authorities }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  });
  return { rejectUnauthorized: isVerified, secureContext };
}

class Response implements HttpResponse {
  readonly status: number;
  readonly url: URL;
  readonly body: HttpBody;
  readonly headers: Dispatcher.ResponseData['headers'];

  constructor(url: URL, { statusCode, headers, body }: Dispatcher.ResponseData) {
    this.status = statusCode;
    this.url = url;
    this.headers = headers;
    this.body = {
      [Symbol.asyncIterator]: () => body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>,
      bytes: (maxBytes) => readAll(body, url, maxBytes),
      dump: async () => {
        // A body that breaks off while it is thrown away harms nobody.
        await body.dump().catch(() => undefined);
      },
    };
  }

  header(name: string): string | undefined {
    return this.headerValues(name)[0];
  }

  headerValues(name: string): readonly string[] {
    const value = this.headers[name];
    return value === undefined ? [] : typeof value === 'string' ? [value] : value;
  }
}

async function readAll(body: Readable, url: URL, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > maxBytes) {
      body.destroy();
      throw new CairnError('REGISTRY_RESPONSE_INVALID', {
        message: `${url.host} sent more than the ${maxBytes} bytes that such an answer may have`,
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
