import type { HttpResponse } from '../http/http-message.ts';

/** Where the next page of a list is (RFC 8288 `Link` with `rel="next"`), on the same origin only; null for the last page. */
export function nextLink(response: Pick<HttpResponse, 'headerValues' | 'url'>): URL | null {
  for (const header of response.headerValues('link')) {
    for (const [, target = '', parameters = ''] of header.matchAll(/<([^>]*)>((?:\s*;[^,]*)*)/g)) {
      if (!/;\s*rel\s*=\s*"?next"?/i.test(parameters) || !URL.canParse(target, response.url.href)) continue;
      const url = new URL(target, response.url.href);
      if (url.origin === response.url.origin) return url;
    }
  }
  return null;
}
