import { CairnError } from '../../errors/index.ts';
import type { HttpRequest, Send } from './http-message.ts';
import { redactUrl } from './redact-url.ts';

const maxRedirects = 10;

/**
 * Follows redirects: any of them for GET and HEAD, 307 and 308 for the rest, method and body kept. Credentials (`authorization`)
 * and cookies go no further than the exact origin (scheme, host, port) of the request.
 * @throws {CairnError} REGISTRY_RESPONSE_INVALID for too many, or one that leads to no http(s) URL
 */
export function withRedirects(send: Send): Send {
  return async (request) => {
    let current: HttpRequest = request;
    for (let count = 0; count <= maxRedirects; count++) {
      const response = await send(current);
      const location = response.header('location');
      if (location === undefined || !isFollowed(current.method, response.status)) return response;
      await response.body.dump();
      const url = targetOf(location, current.url);
      const isSameOrigin = url.origin === request.url.origin;
      current = {
        ...current,
        url,
        headers: isSameOrigin ? request.headers : withoutSecrets(request.headers),
      };
    }
    throw new CairnError('REGISTRY_RESPONSE_INVALID', {
      message: `${redactUrl(request.url.href)} redirects more than ${maxRedirects} times`,
    });
  };
}

function isFollowed(method: HttpRequest['method'], status: number): boolean {
  if (status === 307 || status === 308) return true;
  return (status === 301 || status === 302 || status === 303) && (method === 'GET' || method === 'HEAD');
}

function targetOf(location: string, from: URL): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from.href) : null;
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new CairnError('REGISTRY_RESPONSE_INVALID', {
      message: `${redactUrl(from.href)} redirects to "${redactUrl(location)}", which is not an http(s) URL`,
    });
  url.username = '';
  url.password = '';
  url.hash = '';
  return url;
}

function withoutSecrets(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { authorization: _, cookie: __, ...rest } = headers;
  return rest;
}
