import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpResponse, Send } from './http-message.ts';
import { isNetworkError } from './network-error.ts';

export interface RetryOptions {
  /** Pauses before a further attempt, in milliseconds; as many attempts more as there are entries. */
  readonly delaysMs?: readonly number[];
  /** The longest pause that a server may ask for, in milliseconds; 60 s by default. */
  readonly longestPauseMs?: number;
  /** Which errors are worth another attempt; lost and refused connections by default. */
  readonly isWorthRetrying?: (error: unknown) => boolean;
}

/** Pauses between attempts when nothing else is said, in milliseconds. */
export const defaultDelaysMs: readonly number[] = [300, 1000, 3000, 6000];
const longestPauseMs = 60_000;
const busyStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Tries again after lost connections and answers of overloaded servers, after a pause that grows and is at least what
 * Retry-After asks for. The last answer is returned, whatever it is; the last error thrown. PATCH is sent once: it appends, so
 * whoever sends it must first find out what has arrived.
 */
export function withRetry(send: Send, options: RetryOptions = {}): Send {
  const delays = options.delaysMs ?? defaultDelaysMs;
  const isWorthRetrying = options.isWorthRetrying ?? isNetworkError;
  return async (request) => {
    if (request.method === 'PATCH') return send(request);
    for (let attempt = 0; ; attempt++) {
      const delayMs = delays[attempt];
      let pauseMs: number;
      try {
        const response = await send(request);
        if (delayMs === undefined || !busyStatuses.has(response.status)) return response;
        const wantedMs = retryAfterMs(response) ?? 0;
        // Waiting longer than a person would is no help: what the server said is shown instead.
        if (wantedMs > (options.longestPauseMs ?? longestPauseMs)) return response;
        pauseMs = Math.max(wantedMs, delayMs);
        await response.body.dump();
      } catch (error) {
        request.signal?.throwIfAborted();
        if (delayMs === undefined || !isWorthRetrying(error)) throw error;
        pauseMs = delayMs;
      }
      await sleep(pauseMs, undefined, request.signal ? { signal: request.signal } : {});
    }
  };
}

/** Retry-After as a pause: seconds, or a date seen from the server's own clock (RFC 9110, 10.2.3). Null for none. */
export function retryAfterMs(response: Pick<HttpResponse, 'header'>): number | null {
  const text = response.header('retry-after')?.trim();
  if (text === undefined || text === '') return null;
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const pause = Date.parse(text) - Date.parse(response.header('date') ?? '');
  return Number.isNaN(pause) ? null : Math.max(pause, 0);
}
