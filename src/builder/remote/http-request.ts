import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SecureContext } from 'node:tls';
import type { Dispatcher } from 'undici';
import { CairnError } from '../../errors/index.ts';
import { type HostEnv, proxyForUrl } from './proxy-for-url.ts';
import { redactUrl } from './redact-url.ts';
import { systemAuthorities } from './system-authorities.ts';

export interface HttpRequest {
  readonly url: string;
  /** Names in lower case. Those of `secretHeaders` go to the URL's own host only. */
  readonly headers: Readonly<Record<string, string>>;
  readonly secretHeaders: Readonly<Record<string, string>>;
  /** For the proxy variables. */
  readonly env: HostEnv;
  readonly signal: AbortSignal;
  /** Pauses before a further attempt; as many attempts more as there are entries. */
  readonly retryDelaysMs?: readonly number[];
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Readable;
}

const maxRedirects = 10;
const defaultDelaysMs = [300, 1000, 3000];
const longestPauseMs = 15_000;

/**
 * Requests a URL with GET, follows redirects, and hands a 2xx or 304 answer to `use`. Lost connections (also in the middle of
 * `use`) and overloaded servers are tried again.
 * @param use - reads the body to its end; may be called again after a failure
 * @throws {CairnError} URL_INVALID, URL_UNREACHABLE with the server's answer or the network's error
 */
export async function requestUrl<T>(
  request: HttpRequest,
  use: (response: HttpResponse) => Promise<T>,
): Promise<T> {
  const delays = request.retryDelaysMs ?? defaultDelaysMs;
  const dispatchers = new Dispatchers(request.env);
  try {
    for (let attempt = 0; ; attempt++) {
      request.signal.throwIfAborted();
      try {
        return await use(await follow(request, dispatchers));
      } catch (error) {
        request.signal.throwIfAborted();
        const pauseMs = pauseBefore(error, delays[attempt]);
        if (pauseMs === null) throw explain(request.url, error);
        await sleep(pauseMs, undefined, { signal: request.signal });
      }
    }
  } finally {
    await dispatchers.close();
  }
}

/** An answer that is neither content nor a redirect. */
class StatusError extends Error {
  readonly status: number;
  readonly retryAfterMs: number | null;
  constructor(status: number, retryAfter: string | undefined) {
    super(`the server answered ${status}`);
    this.status = status;
    this.retryAfterMs =
      retryAfter !== undefined && /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : null;
  }
}

async function follow(request: HttpRequest, dispatchers: Dispatchers): Promise<HttpResponse> {
  const { request: send } = await import('undici');
  let url = parseUrl(request.url, request.url);
  const origin = url;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const response = await send(withoutCredentials(url), {
      method: 'GET',
      headers: { ...request.headers, ...credentialsFor(url, origin, request.secretHeaders) },
      dispatcher: await dispatchers.for(url),
      signal: request.signal,
    });
    const { statusCode: status, headers } = response;
    const location = first(headers.location);
    if ((status >= 200 && status < 300) || status === 304) return { status, headers, body: response.body };
    await response.body.dump();
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined)
      throw new StatusError(status, first(headers['retry-after']));
    url = parseUrl(location, request.url, url);
  }
  throw new CairnError('URL_UNREACHABLE', {
    message: `cannot fetch "${redactUrl(request.url)}": more than ${maxRedirects} redirects`,
  });
}

function parseUrl(text: string, shown: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base?.href) : null;
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new CairnError('URL_INVALID', {
    message:
      base === undefined
        ? `"${redactUrl(shown)}" is not a valid URL`
        : `"${redactUrl(shown)}" redirects to "${redactUrl(text)}", which is not an http(s) URL`,
  });
}

/** Secrets follow a redirect to the same host and port only, and never from https to http. */
function credentialsFor(
  url: URL,
  origin: URL,
  secretHeaders: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const own = basicAuth(url);
  const isSameServer = url.host === origin.host && (url.protocol === 'https:' || origin.protocol === 'http:');
  const inherited = isSameServer ? { ...basicAuth(origin), ...own, ...secretHeaders } : own;
  return inherited;
}

function basicAuth(url: URL): Readonly<Record<string, string>> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair, 'utf8').toString('base64')}` };
}

function withoutCredentials(url: URL): URL {
  const bare = new URL(url);
  bare.username = '';
  bare.password = '';
  bare.hash = '';
  return bare;
}

/** Connections of one request, through a proxy where the environment says so. */
class Dispatchers {
  readonly #env: HostEnv;
  readonly #open = new Map<string, Dispatcher>();
  #secure: SecureContext | undefined;

  constructor(env: HostEnv) {
    this.#env = env;
  }

  async for(url: URL): Promise<Dispatcher> {
    const { Agent, ProxyAgent } = await import('undici');
    const proxy = proxyForUrl(url, this.#env) ?? '';
    const isSecure = url.protocol === 'https:';
    const key = `${isSecure} ${proxy}`;
    const connect = { timeout: 30_000, ...(isSecure ? await this.#secureContext() : {}) };
    const made =
      this.#open.get(key) ??
      (proxy === ''
        ? new Agent({ connect })
        : new ProxyAgent({ uri: proxy, proxyTunnel: false, requestTls: connect }));
    this.#open.set(key, made);
    return made;
  }

  /** One for all connections: parsing the authorities takes as long as a handshake. */
  async #secureContext(): Promise<{ readonly secureContext?: SecureContext }> {
    const ca = systemAuthorities(this.#env);
    if (ca === null) return {};
    const { createSecureContext } = await import('node:tls');
    this.#secure ??= createSecureContext({ ca });
    return { secureContext: this.#secure };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((dispatcher) => dispatcher.destroy()));
  }
}

/** How long to wait before trying again; null when that is no use. */
function pauseBefore(error: unknown, delayMs: number | undefined): number | null {
  if (delayMs === undefined || error instanceof CairnError) return null;
  if (!(error instanceof StatusError)) return isNetworkError(error) ? delayMs : null;
  if (![408, 429, 500, 502, 503, 504].includes(error.status)) return null;
  return Math.min(Math.max(error.retryAfterMs ?? 0, delayMs), longestPauseMs);
}

function isNetworkError(error: unknown): boolean {
  const code = codeOf(error);
  return code.startsWith('UND_ERR_') || retriedCodes.has(code);
}

const retriedCodes = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function codeOf(error: unknown): string {
  return error instanceof Error ? String((error as NodeJS.ErrnoException).code ?? '') : '';
}

function explain(url: string, error: unknown): unknown {
  if (error instanceof CairnError) return error;
  const shown = redactUrl(url);
  if (error instanceof StatusError)
    return new CairnError('URL_UNREACHABLE', {
      message: `cannot fetch "${shown}": the server answered ${error.status}`,
      help: helpFor(error.status),
    });
  // Errors of the file system are not the network's.
  if (!isNetworkError(error) && !isTlsError(error) && codeOf(error) !== 'ENOTFOUND') return error;
  return new CairnError('URL_UNREACHABLE', {
    message: `cannot fetch "${shown}": ${reasonOf(error)}`,
    help: 'check the URL, the network and the proxy variables; nothing older is used in its place',
    cause: error,
  });
}

function isTlsError(error: unknown): boolean {
  return /CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO/.test(codeOf(error));
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error instanceof Error ? error.message || codeOf(error) : String(error);
}

function helpFor(status: number): string {
  if (status === 401 || status === 403)
    return 'the server wants credentials: give them as the secret HTTP_AUTH_TOKEN_<host> or HTTP_AUTH_HEADER_<host>';
  return status === 404 || status === 410
    ? 'check the spelling of the URL'
    : 'the server has a problem; try again later';
}

/** The first value of a header. */
export function first(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'object' ? value[0] : value;
}
