import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';
import type { FindCredentials } from '../auth/credentials.ts';
import { withAuth } from '../auth/with-auth.ts';
import type { Endpoint } from '../hosts/endpoint.ts';
import type { HttpRequest, HttpResponse, Send } from '../http/http-message.ts';
import { isAbsentPeer, isConnectionError, isNetworkError } from '../http/network-error.ts';
import { withRedirects } from '../http/with-redirects.ts';
import { defaultDelaysMs, type RetryOptions, withRetry } from '../http/with-retry.ts';
import { nextLink } from './next-link.ts';
import { registryError, unreachable } from './registry-error.ts';

export interface ClientOptions {
  readonly endpoint: Endpoint;
  /** The transport. */
  readonly send: Send;
  /** What is known for the endpoint's host. */
  readonly credentials: () => ReturnType<FindCredentials>;
  /** Milliseconds on any clock. */
  readonly now: () => number;
  readonly retry?: RetryOptions;
}

/** A request to a registry; `path` is below `v2/`. */
export interface RegistryRequest extends Omit<HttpRequest, 'url' | 'headers'> {
  readonly path: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
}

const maxListBytes = 8 << 20;
const maxPages = 10_000;
const catalogSchema = v.object({ repositories: v.nullable(v.array(v.string())) });

interface Connection {
  readonly base: URL;
  /** With credentials. */
  readonly send: Send;
  /** Values of WWW-Authenticate in its first answer. */
  readonly challenges: readonly string[];
}

/** One registry or mirror: finds out how it wants to be spoken to, once, and sends requests. */
export class RegistryClient {
  readonly endpoint: Endpoint;
  readonly #options: ClientOptions;
  #connected: Promise<Connection> | null = null;

  constructor(options: ClientOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
  }

  get host(): string {
    return this.endpoint.host;
  }

  /** Pauses between attempts, in milliseconds: for those who take up a broken transfer themselves. */
  get retryDelaysMs(): readonly number[] {
    return this.#options.retry?.delaysMs ?? defaultDelaysMs;
  }

  /**
   * Sends a request with redirects, retries and authentication.
   * @param doing - begins error messages: `cannot pull debian:12`
   * @throws {CairnError} REGISTRY_UNREACHABLE, REGISTRY_DENIED, REGISTRY_RESPONSE_INVALID, CREDENTIALS_FAILED
   */
  async request(request: RegistryRequest, doing: string): Promise<HttpResponse> {
    const { base, send } = await this.#connect(doing, request.signal);
    const { path, headers = {}, ...rest } = request;
    const url = typeof path === 'string' ? new URL(`v2/${path}`, base) : path;
    return this.guard(doing, request.signal, () => send({ ...rest, url, headers }));
  }

  /** As `request`, for answers that must have one of `statuses`. @throws {CairnError} as `registryError` says */
  async expect(request: RegistryRequest, statuses: readonly number[], doing: string): Promise<HttpResponse> {
    const response = await this.request(request, doing);
    if (statuses.includes(response.status)) return response;
    throw await registryError(response, doing);
  }

  /** How the registry answers a first request: where it is, what it wants to know, and how to ask it without credentials. */
  async greeting(doing: string, signal?: AbortSignal): Promise<Connection> {
    const { base, challenges } = await this.#connect(doing, signal);
    return { base, challenges, send: withRetry(withRedirects(this.#options.send), this.#options.retry) };
  }

  /** Names of the registry's repositories, page by page; not every registry tells. */
  async *catalog(doing: string, signal?: AbortSignal): AsyncGenerator<string> {
    for await (const text of this.pages('_catalog?n=1000', {
      doing,
      scopes: ['registry:catalog:*'],
      ...(signal && { signal }),
    }))
      yield* decodeList(catalogSchema, text, this.host).repositories ?? [];
  }

  /** The bodies of a list and of the pages that its Link headers lead to. */
  async *pages(
    path: string,
    options: {
      readonly doing: string;
      readonly scopes: readonly string[];
      readonly signal?: AbortSignal;
      readonly accept?: string;
    },
  ): AsyncGenerator<string> {
    const { doing, scopes, signal, accept = 'application/json' } = options;
    let next: string | URL | null = path;
    for (let page = 0; next !== null && page < maxPages; page++) {
      const response: HttpResponse = await this.expect(
        { method: 'GET', path: next, scopes, headers: { accept }, ...(signal && { signal }) },
        [200],
        doing,
      );
      next = nextLink(response);
      yield (await this.guard(doing, signal, () => response.body.bytes(maxListBytes))).toString('utf8');
    }
  }

  /** Runs a request; what goes wrong with the connection becomes a REGISTRY_UNREACHABLE. */
  async guard<T>(doing: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(error, this.host, doing);
    }
  }

  #connect(doing: string, signal?: AbortSignal): Promise<Connection> {
    this.#connected ??= this.#ping(doing, signal).catch((error: unknown) => {
      // Someone else's cancelled request decides nothing about the next one's.
      if (signal?.aborted) this.#connected = null;
      throw error;
    });
    return this.#connected;
  }

  async #ping(doing: string, signal: AbortSignal | undefined): Promise<Connection> {
    const { endpoint, retry } = this.#options;
    // An absent peer is not waited for: there may be a mirror or another scheme to try.
    const once = {
      ...retry,
      isWorthRetrying: (error: unknown) => isNetworkError(error) && !isAbsentPeer(error),
    };
    let failure: unknown;
    for (const [at, base] of endpoint.urls.entries()) {
      const isLast = at === endpoint.urls.length - 1;
      const raw = this.#options.send;
      const send = withRedirects(isLast ? withRetry(raw, once) : raw);
      try {
        const url = new URL('v2/', base);
        const response = await send({ method: 'GET', url, headers: {}, ...(signal && { signal }) });
        await response.body.dump();
        const challenges = response.headerValues('www-authenticate');
        return { base, challenges, send: this.#authorized(base, challenges) };
      } catch (error) {
        signal?.throwIfAborted();
        if (!isConnectionError(error)) throw error;
        // Of https and plain http the first failure says more, unless nobody is there at all.
        failure ??= error;
      }
    }
    throw unreachable(failure, endpoint.host, doing);
  }

  #authorized(base: URL, challenges: readonly string[]): Send {
    const { send, credentials, now, retry } = this.#options;
    return withAuth(withRetry(withRedirects(send), retry), {
      registry: base,
      credentials,
      tokenSend: withRetry(withRedirects(send), retry),
      now,
      challenges,
    });
  }
}

/** Parses the JSON of a list. @throws {CairnError} REGISTRY_RESPONSE_INVALID */
export function decodeList<T extends v.GenericSchema>(
  schema: T,
  text: string,
  host: string,
): v.InferOutput<T> {
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (cause) {
    throw new CairnError('REGISTRY_RESPONSE_INVALID', {
      message: `${host} sent a list that cannot be read`,
      cause,
    });
  }
}
