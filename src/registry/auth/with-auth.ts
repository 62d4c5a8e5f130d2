import type { HttpRequest, Send } from '../http/http-message.ts';
import { type Challenge, parseChallenges } from './challenge.ts';
import { basicHeader, type Credentials } from './credentials.ts';
import { requestToken } from './token.ts';

export interface AuthOptions {
  /** The registry's own origin: only requests to it get credentials. */
  readonly registry: URL;
  /** Asked once, when the registry first wants to know. */
  readonly credentials: () => Promise<Credentials | null>;
  /** For the token server: without credentials of its own. */
  readonly tokenSend: Send;
  /** Milliseconds on any clock. */
  readonly now: () => number;
  /** WWW-Authenticate headers that are known already: the first request then is not refused in vain. */
  readonly challenges?: readonly string[];
}

/** A token is renewed this long before it ends. */
const marginMs = 5_000;

/**
 * Meets a registry's challenges: basic, or a token for the scopes of each request, kept until shortly before it expires. An
 * answer of 401 to a request with a token (expired early, or of too little scope) gets a fresh one, once.
 * @throws what `requestToken` throws
 */
export function withAuth(send: Send, options: AuthOptions): Send {
  const authorizer = new Authorizer(options);
  return async (request) => {
    if (request.url.origin !== options.registry.origin) return send(request);
    const first = await send(await authorizer.authorize(request));
    if (first.status !== 401) return first;
    if (!(await authorizer.learn(request, first.headerValues('www-authenticate')))) return first;
    await first.body.dump();
    return send(await authorizer.authorize(request));
  };
}

class Authorizer {
  readonly #options: AuthOptions;
  #credentials: Promise<Credentials | null> | null = null;
  #challenge: Challenge | null = null;
  readonly #tokens = new Map<string, Promise<{ readonly value: string; readonly endsAt: number }>>();

  constructor(options: AuthOptions) {
    this.#options = options;
    this.#challenge = chosen(options.challenges ?? []);
  }

  async authorize(request: HttpRequest): Promise<HttpRequest> {
    const header = await this.#header(request);
    return header === null ? request : { ...request, headers: { ...request.headers, authorization: header } };
  }

  /** Takes in the challenge of a 401. @returns whether another attempt can differ from this one */
  async learn(request: HttpRequest, challenges: readonly string[]): Promise<boolean> {
    const challenge = chosen(challenges);
    if (challenge === null) return false;
    const isRepeated = this.#challenge?.scheme === challenge.scheme;
    this.#challenge = challenge;
    if (challenge.scheme === 'basic') return !isRepeated && (await this.#known())?.kind === 'basic';
    this.#tokens.delete(this.#scopesOf(request).join(' '));
    return true;
  }

  async #header(request: HttpRequest): Promise<string | null> {
    const challenge = this.#challenge;
    if (challenge === null) return null;
    const credentials = await this.#known();
    if (credentials?.kind === 'registry-token') return `Bearer ${credentials.token}`;
    if (challenge.scheme === 'basic') return credentials?.kind === 'basic' ? basicHeader(credentials) : null;
    return `Bearer ${await this.#token(request, challenge, credentials)}`;
  }

  async #token(
    request: HttpRequest,
    challenge: Extract<Challenge, { scheme: 'bearer' }>,
    credentials: Credentials | null,
  ): Promise<string> {
    const scopes = this.#scopesOf(request);
    const key = scopes.join(' ');
    const known = await this.#tokens.get(key)?.catch(() => undefined);
    if (known !== undefined && known.endsAt > this.#options.now() + marginMs) return known.value;
    // Requests that come meanwhile wait for the same token. No signal: it is not only this request's.
    const asked = this.#ask(challenge, scopes, credentials);
    this.#tokens.set(key, asked);
    return (await asked).value;
  }

  async #ask(
    challenge: Extract<Challenge, { scheme: 'bearer' }>,
    scopes: readonly string[],
    credentials: Credentials | null,
  ): Promise<{ readonly value: string; readonly endsAt: number }> {
    const { tokenSend, registry, now } = this.#options;
    const askedAt = now();
    const token = await requestToken(tokenSend, { challenge, scopes, credentials, registry });
    // A token that lives shorter than the margin is used for at least one request.
    return { value: token.value, endsAt: askedAt + Math.max(token.expiresInMs, marginMs + 1000) };
  }

  #scopesOf(request: HttpRequest): readonly string[] {
    const asked = this.#challenge?.scheme === 'bearer' ? (this.#challenge.scope ?? '').split(' ') : [];
    const wanted = request.scopes ?? asked;
    return [...new Set(wanted.filter((scope) => scope !== ''))].sort();
  }

  #known(): Promise<Credentials | null> {
    this.#credentials ??= this.#options.credentials();
    return this.#credentials;
  }
}

function chosen(headers: readonly string[]): Challenge | null {
  const offered = parseChallenges(headers);
  return offered.find(({ scheme }) => scheme === 'bearer') ?? offered[0] ?? null;
}
