/**
 * Runs `work` for every item, at most `limit` at once. The first failure stops the rest through the signal that each gets, and is
 * thrown when all have ended.
 */
export async function forEachParallel<T>(
  items: readonly T[],
  options: { readonly limit: number; readonly signal?: AbortSignal | undefined },
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal;
  const failures: unknown[] = [];
  let next = 0;
  const run = async () => {
    while (next < items.length && failures.length === 0) {
      const item = items[next++] as T;
      try {
        signal.throwIfAborted();
        await work(item, signal);
      } catch (error) {
        failures.push(error);
        abort.abort(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.limit, items.length) }, run));
  if (failures.length > 0) throw failures[0];
}
