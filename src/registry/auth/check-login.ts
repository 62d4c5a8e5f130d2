import { CairnError } from '../../errors/index.ts';
import { registryError, unreachable } from '../client/registry-error.ts';
import type { Registries } from '../registries.ts';
import { parseChallenges } from './challenge.ts';
import { basicHeader, type Credentials } from './credentials.ts';
import { requestToken } from './token.ts';

/**
 * Asks a registry whether it takes a name and password (`login`).
 * @param registry - as in a reference
 * @returns what to keep: the password, or the identity token that the server gave in its place
 * @throws {CairnError} REGISTRY_DENIED, REGISTRY_UNREACHABLE, REGISTRY_FAILED
 */
export async function checkLogin(
  registries: Registries,
  registry: string,
  given: { readonly username: string; readonly password: string },
  signal?: AbortSignal,
): Promise<{ readonly password: string } | { readonly identityToken: string }> {
  const doing = `cannot log in to ${registry}`;
  const client = await registries.registry(registry);
  const { base, challenges, send } = await client.greeting(doing, signal);
  const offered = parseChallenges(challenges);
  const bearer = offered.find((challenge) => challenge.scheme === 'bearer');
  const credentials: Credentials = { kind: 'basic', ...given };
  const url = new URL('v2/', base);
  let authorization = basicHeader(given);
  let identityToken: string | undefined;
  if (bearer?.scheme === 'bearer') {
    const token = await requestToken(send, {
      challenge: bearer,
      scopes: [],
      credentials,
      registry: base,
      isOffline: true,
      ...(signal && { signal }),
    });
    authorization = `Bearer ${token.value}`;
    identityToken = token.identityToken;
  }
  const response = await send({
    method: 'GET',
    url,
    headers: { authorization },
    ...(signal && { signal }),
  }).catch((error: unknown) => {
    throw unreachable(error, client.host, doing);
  });
  if (response.status === 200) {
    await response.body.dump();
    return identityToken === undefined ? { password: given.password } : { identityToken };
  }
  const error = await registryError(response, doing);
  if (response.status !== 401) throw error;
  throw new CairnError('REGISTRY_DENIED', {
    message: `${doing}: incorrect username or password`,
    notes: error.notes,
    cause: error,
  });
}
