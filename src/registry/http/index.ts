export type { HttpBody, HttpRequest, HttpResponse, Send } from './http-message.ts';
export { isAbsentPeer, isConnectionError, isNetworkError, networkReason } from './network-error.ts';
export { type HostEnv, proxyForUrl } from './proxy-for-url.ts';
export { redactUrl } from './redact-url.ts';
export { type TlsSettings, Transport, type TransportOptions } from './transport.ts';
export { withRedirects } from './with-redirects.ts';
export { type RetryOptions, retryAfterMs, withRetry } from './with-retry.ts';
