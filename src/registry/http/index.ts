export type { HttpBody, HttpRequest, HttpResponse, Send } from './http-message.ts';
export { isConnectionError, isNetworkError, networkReason } from './network-error.ts';
export { type HostEnv, proxyForUrl } from './proxy-for-url.ts';
export { redactUrl } from './redact-url.ts';
export { type TlsSettings, Transport, type TransportOptions } from './transport.ts';

export { type RetryOptions, retryAfterMs } from './with-retry.ts';
