import * as v from 'valibot';
import { CairnError, type ErrorCode } from '../../errors/index.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { isConnectionError, isTlsError, networkReason } from '../http/network-error.ts';

const maxBodyBytes = 64 << 10;
const shownErrors = 3;

// distribution-spec, "Error Codes"; `detail` is left out: it has no form, and some registries put requests into it.
const bodySchema = v.object({
  errors: v.array(v.object({ code: v.optional(v.string()), message: v.optional(v.string()) })),
});

/** An answer that is not the wanted one, as an error; reads its body. @param doing - `cannot pull x` */
export async function registryError(response: HttpResponse, doing: string): Promise<CairnError> {
  const { status, url } = response;
  const said = await reasonsIn(response);
  const busy = response.header('retry-after');
  const wait = busy === undefined ? '' : ` (to be tried again after ${busy.slice(0, 40)})`;
  return new CairnError(codeFor(status), {
    message: `${doing}: ${said ?? `${url.host} answered ${status}${wait}`}`,
    ...(said === null ? {} : { notes: [{ message: `${url.host} answered ${status}${wait}` }] }),
    help: helpFor(status),
  });
}

/** What the registry says in its body: `denied: requested access to the resource is denied`; null for nothing usable. */
async function reasonsIn(response: HttpResponse): Promise<string | null> {
  try {
    const text = (await response.body.bytes(maxBodyBytes)).toString('utf8');
    const { errors } = v.parse(bodySchema, JSON.parse(text));
    const lines = errors.slice(0, shownErrors).map(({ code = '', message = '' }) => {
      const words = code.toLowerCase().replaceAll('_', ' ');
      return [words, message].filter((part) => part !== '').join(': ');
    });
    return lines.length === 0 ? null : lines.join('; ').slice(0, 1000);
  } catch {
    return null;
  }
}

function codeFor(status: number): ErrorCode {
  if (status === 401 || status === 403) return 'REGISTRY_DENIED';
  if (status === 404 || status === 410) return 'REGISTRY_NOT_FOUND';
  return 'REGISTRY_FAILED';
}

function helpFor(status: number): string {
  if (status === 401 || status === 403) return 'log in with "cairn login", or ask for access';
  if (status === 404 || status === 410) return 'check the name, and that it is this registry that has it';
  if (status === 429) return 'the registry limits how often it is asked: wait, or log in';
  return status >= 500
    ? 'the registry has a problem; try again later'
    : 'the registry refused the request; its own log may say more';
}

/** A failed connection as an error; other errors come back as they are. */
export function unreachable(error: unknown, host: string, doing: string): unknown {
  if (!isConnectionError(error)) return error;
  return new CairnError('REGISTRY_UNREACHABLE', {
    message: `${doing}: cannot reach ${host}: ${networkReason(error)}`,
    help: isTlsError(error)
      ? `put the certificate of its authority into /etc/docker/certs.d/${host}/ca.crt, or list it under "insecure-registries"`
      : 'check the name, the network and the proxy variables',
    cause: error,
  });
}
