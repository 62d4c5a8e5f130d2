const retriedCodes: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/** True for what may go away by itself: a lost, refused or timed-out connection. */
export function isNetworkError(error: unknown): boolean {
  const code = codeOf(error);
  return code.startsWith('UND_ERR_') || code.startsWith('HPE_') || retriedCodes.has(code);
}

/** True when nobody listens there, or there is no such host: asking again at once is no use. */
export function isAbsentPeer(error: unknown): boolean {
  return ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'].includes(codeOf(error));
}

/** True for a connection that failed over certificates or the protocol of TLS. */
export function isTlsError(error: unknown): boolean {
  return /CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO|EPROTO/.test(codeOf(error));
}

/** True for everything that can go wrong with a connection. */
export function isConnectionError(error: unknown): boolean {
  return isNetworkError(error) || isTlsError(error) || codeOf(error) === 'ENOTFOUND';
}

/** What happened, for people. */
export function networkReason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return networkReason(error.errors[0]);
  return error instanceof Error ? error.message || codeOf(error) : String(error);
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const code = String((error as NodeJS.ErrnoException).code ?? '');
  return code === '' && error instanceof AggregateError ? codeOf(error.errors[0]) : code;
}
