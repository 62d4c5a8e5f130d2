import { setTimeout as sleep } from 'node:timers/promises';
import { CairnError } from '../../errors/index.ts';
import {
  type HttpResponse as Answer,
  type HostEnv,
  isConnectionError,
  isNetworkError,
  networkReason,
  redactUrl,
  retryAfterMs,
  Transport,
} from '../../registry/http/index.ts';

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
  readonly body: AsyncIterable<Uint8Array>;
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
  const transport = new Transport({ env: request.env });
  try {
    for (let attempt = 0; ; attempt++) {
      request.signal.throwIfAborted();
      try {
        return await use(await follow(request, transport));
      } catch (error) {
        request.signal.throwIfAborted();
        const pauseMs = pauseBefore(error, delays[attempt]);
        if (pauseMs === null) throw explain(request.url, error);
        await sleep(pauseMs, undefined, { signal: request.signal });
      }
    }
  } finally {
    await transport.close();
  }
}

/** An answer that is neither content nor a redirect. */
class StatusError extends Error {
  readonly status: number;
  readonly retryAfterMs: number | null;
  constructor(answer: Answer) {
    super(`the server answered ${answer.status}`);
    this.status = answer.status;
    this.retryAfterMs = retryAfterMs(answer);
  }
}

async function follow(request: HttpRequest, transport: Transport): Promise<HttpResponse> {
  let url = parseUrl(request.url, request.url);
  const origin = url;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const answer = await transport.send({
      method: 'GET',
      url: withoutCredentials(url),
      headers: { ...request.headers, ...credentialsFor(url, origin, request.secretHeaders) },
      signal: request.signal,
    });
    const { status } = answer;
    const location = answer.header('location');
    if ((status >= 200 && status < 300) || status === 304)
      return { status, headers: answer.headers, body: answer.body };
    await answer.body.dump();
    if (![301, 302, 303, 307, 308].includes(status) || location === undefined) throw new StatusError(answer);
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

/** How long to wait before trying again; null when that is no use. */
function pauseBefore(error: unknown, delayMs: number | undefined): number | null {
  if (delayMs === undefined || error instanceof CairnError) return null;
  if (!(error instanceof StatusError)) return isNetworkError(error) ? delayMs : null;
  if (![408, 429, 500, 502, 503, 504].includes(error.status)) return null;
  return Math.min(Math.max(error.retryAfterMs ?? 0, delayMs), longestPauseMs);
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
  if (!isConnectionError(error)) return error;
  return new CairnError('URL_UNREACHABLE', {
    message: `cannot fetch "${shown}": ${networkReason(error)}`,
    help: 'check the URL, the network and the proxy variables; nothing older is used in its place',
    cause: error,
  });
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
