import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';
import type { HttpResponse, Send } from '../http/http-message.ts';
import { isConnectionError, networkReason } from '../http/network-error.ts';
import { redactUrl } from '../http/redact-url.ts';
import type { Challenge } from './challenge.ts';
import { basicHeader, type Credentials } from './credentials.ts';

export interface TokenRequest {
  readonly challenge: Extract<Challenge, { scheme: 'bearer' }>;
  /** What the token is to allow, sorted. */
  readonly scopes: readonly string[];
  readonly credentials: Credentials | null;
  /** Where the challenge came from. */
  readonly registry: URL;
  /** Ask for an identity token, too (`login`). */
  readonly isOffline?: boolean;
  readonly signal?: AbortSignal;
}

export interface Token {
  readonly value: string;
  readonly expiresInMs: number;
  /** What to keep in place of the password, when the server gives such. */
  readonly identityToken?: string;
}

/** distribution's token specification: a server that says nothing means 60 seconds. */
const defaultLifeSeconds = 60;
const maxAnswerBytes = 1 << 20;
const clientId = 'cairn';

const answerSchema = v.object({
  token: v.optional(v.string()),
  access_token: v.optional(v.string()),
  refresh_token: v.optional(v.string()),
  expires_in: v.optional(v.number()),
});

/**
 * Gets a token from the realm of a challenge: with GET (anonymous or with name and password), with POST (OAuth 2) for an
 * identity token.
 * @throws {CairnError} REGISTRY_DENIED when the server refuses, or when the credentials would travel unprotected to another host
 * @throws {CairnError} REGISTRY_UNREACHABLE, REGISTRY_RESPONSE_INVALID
 */
export async function requestToken(send: Send, request: TokenRequest): Promise<Token> {
  const realm = realmUrl(request);
  const response = await reach(realm, () =>
    request.credentials?.kind === 'identity-token'
      ? postForToken(send, realm, request, request.credentials.token)
      : getToken(send, realm, request),
  );
  const text = (await reach(realm, () => response.body.bytes(maxAnswerBytes))).toString('utf8');
  if (response.status !== 200) throw denied(realm, response, request.credentials !== null);
  const { token, access_token, refresh_token, expires_in } = parseAnswer(realm, text);
  const value = token || access_token;
  if (!value)
    throw new CairnError('REGISTRY_RESPONSE_INVALID', {
      message: `the token server ${realm.host} answered without a token`,
    });
  return {
    value,
    expiresInMs: Math.max(expires_in ?? defaultLifeSeconds, 1) * 1000,
    ...(refresh_token ? { identityToken: refresh_token } : {}),
  };
}

function getToken(send: Send, realm: URL, request: TokenRequest): Promise<HttpResponse> {
  const { challenge, scopes, credentials, isOffline, signal } = request;
  const url = new URL(realm);
  if (challenge.service !== undefined) url.searchParams.set('service', challenge.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  if (isOffline) {
    url.searchParams.set('offline_token', 'true');
    url.searchParams.set('client_id', clientId);
  }
  const isBasic = credentials?.kind === 'basic';
  if (isBasic) url.searchParams.set('account', credentials.username);
  return send({
    method: 'GET',
    url,
    headers: isBasic ? { authorization: basicHeader(credentials) } : {},
    ...(signal && { signal }),
  });
}

function postForToken(
  send: Send,
  realm: URL,
  { challenge, scopes, signal }: TokenRequest,
  identityToken: string,
): Promise<HttpResponse> {
  const form = new URLSearchParams({
    grant_type: 'refresh_token',
    refresh_token: identityToken,
    client_id: clientId,
    service: challenge.service ?? '',
  });
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  return send({
    method: 'POST',
    url: realm,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: form.toString(),
    ...(signal && { signal }),
  });
}

/** A password goes over TLS, or over plain http to the very host that the registry runs on, if that is plain too. */
function realmUrl({ challenge, registry, credentials }: TokenRequest): URL {
  const realm = URL.canParse(challenge.realm) ? new URL(challenge.realm) : null;
  if (realm === null || (realm.protocol !== 'https:' && realm.protocol !== 'http:'))
    throw new CairnError('REGISTRY_RESPONSE_INVALID', {
      message: `${registry.host} names "${redactUrl(challenge.realm)}" as its token server, which is not an http(s) URL`,
    });
  realm.username = '';
  realm.password = '';
  realm.hash = '';
  const isPlainNeighbour = registry.protocol === 'http:' && realm.hostname === registry.hostname;
  if (realm.protocol === 'https:' || isPlainNeighbour || credentials === null) return realm;
  throw new CairnError('REGISTRY_DENIED', {
    message: `${registry.host} wants the credentials sent to ${realm.origin}, which has no TLS`,
    help: 'nothing was sent: the token server must use https',
  });
}

async function reach<T>(realm: URL, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isConnectionError(error)) throw error;
    throw new CairnError('REGISTRY_UNREACHABLE', {
      message: `cannot reach the token server ${realm.host}: ${networkReason(error)}`,
      help: 'check the network and the proxy variables',
      cause: error,
    });
  }
}

function denied(realm: URL, { status }: HttpResponse, hasCredentials: boolean): CairnError {
  const isRefusal = status >= 400 && status < 500 && status !== 429;
  return new CairnError(isRefusal ? 'REGISTRY_DENIED' : 'REGISTRY_FAILED', {
    message: `the token server ${realm.host} answered ${status}${isRefusal && hasCredentials ? ': incorrect username or password' : ''}`,
    help: isRefusal ? 'log in with "cairn login"' : 'the server has a problem; try again later',
  });
}

function parseAnswer(realm: URL, text: string): v.InferOutput<typeof answerSchema> {
  try {
    return v.parse(answerSchema, JSON.parse(text));
  } catch (cause) {
    throw new CairnError('REGISTRY_RESPONSE_INVALID', {
      message: `the token server ${realm.host} sent an answer that is no token`,
      cause,
    });
  }
}
