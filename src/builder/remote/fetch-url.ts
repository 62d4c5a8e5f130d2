import { CairnError } from '../../errors/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { HostEnv } from '../../registry/http/index.ts';
import { redactUrl } from '../../registry/http/index.ts';
import { decompress } from '../../store/index.ts';
import type { HeldEntries } from './held-entries.ts';
import { HttpCache, type HttpRecord, httpCacheKey } from './http-cache.ts';
import { first, type HttpResponse, requestUrl } from './http-request.ts';

export interface FetchUrlOptions {
  /** Folder of the cache, in the store. */
  readonly cacheDir: string;
  /** A private folder in the same file system. */
  readonly scratch: string;
  /** Keeps the file from being pruned while it is used. */
  readonly held: HeldEntries;
  /** What the content must be. A file that is known to be that is not asked for again. */
  readonly checksum?: Digest;
  /** Secret headers (Authorization); sent to the URL's own host only. */
  readonly headers?: Readonly<Record<string, string>>;
  /** For the proxy variables. */
  readonly env: HostEnv;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970; notes when the file was of use. */
  readonly now: () => number;
  readonly retryDelaysMs?: readonly number[];
}

export interface FetchedFile {
  /** Absolute; for reading only. */
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
  /** From the header of that name, in seconds since 1970. */
  readonly lastModified?: number;
}

/**
 * Downloads a URL, or finds out from the server that the copy in the cache is still right (ETag, Last-Modified). Bytes go
 * straight to disk. Without an answer of the server there is no result: an old copy is never taken silently.
 * @throws {CairnError} URL_INVALID, URL_UNREACHABLE, CHECKSUM_MISMATCH
 */
export async function fetchUrl(url: string, options: FetchUrlOptions): Promise<FetchedFile> {
  const { cacheDir, headers = {}, checksum } = options;
  const cache = await HttpCache.open(cacheDir, httpCacheKey(url, headers), options);
  const known = cache.find();
  const record =
    known !== null && known.digest === checksum ? known : await revalidate(url, known, cache, options);
  cache.put(record, options.now());
  if (checksum !== undefined && record.digest !== checksum) throw mismatch(url, checksum, record.digest);
  const lastModified = record.lastModified === undefined ? Number.NaN : Date.parse(record.lastModified);
  return {
    path: cache.bodyPath(record.digest),
    size: record.size,
    digest: record.digest,
    ...(Number.isNaN(lastModified) ? {} : { lastModified: Math.floor(lastModified / 1000) }),
  };
}

async function revalidate(
  url: string,
  known: HttpRecord | null,
  cache: HttpCache,
  options: FetchUrlOptions,
): Promise<Omit<HttpRecord, 'file'>> {
  const { headers = {}, env, signal, retryDelaysMs } = options;
  const request = {
    url,
    headers: { 'user-agent': 'cairn', accept: '*/*', 'accept-encoding': 'identity', ...conditions(known) },
    secretHeaders: headers,
    env,
    signal,
    ...(retryDelaysMs ? { retryDelaysMs } : {}),
  };
  return requestUrl(request, async (response) => {
    if (response.status !== 304) {
      const fresh = await save(response, cache);
      if (known !== null) options.held.forget(cache.bodyPath(known.digest));
      return fresh;
    }
    await drain(response);
    if (known !== null) return known;
    throw new CairnError('URL_UNREACHABLE', {
      message: `cannot fetch "${redactUrl(url)}": the server answered 304 to an unconditional request`,
    });
  });
}

/**
 * A time is only a validator when the content was clearly older than the answer: a file can change twice in one second
 * (RFC 9110, 8.8.2.2).
 */
function conditions(known: HttpRecord | null): Readonly<Record<string, string>> {
  if (known?.etag !== undefined) return { 'if-none-match': known.etag };
  const { lastModified, date } = known ?? {};
  if (lastModified === undefined || date === undefined) return {};
  return Date.parse(date) - Date.parse(lastModified) >= 60_000 ? { 'if-modified-since': lastModified } : {};
}

async function save(response: HttpResponse, cache: HttpCache): Promise<Omit<HttpRecord, 'file'>> {
  const body = cache.create();
  try {
    // Not asked for, but some servers always do it; every client undoes it.
    const isGzip = first(response.headers['content-encoding'])?.toLowerCase() === 'gzip';
    const bytes: AsyncIterable<Uint8Array> = isGzip ? decompress(response.body) : response.body;
    for await (const chunk of bytes) body.write(chunk);
    const etag = first(response.headers.etag);
    const lastModified = first(response.headers['last-modified']);
    const date = first(response.headers.date);
    return {
      ...body.finish(),
      ...(etag === undefined ? {} : { etag }),
      ...(lastModified === undefined ? {} : { lastModified }),
      ...(date === undefined ? {} : { date }),
    };
  } catch (error) {
    body.discard();
    throw error;
  }
}

async function drain(response: HttpResponse): Promise<void> {
  for await (const _ of response.body);
}

function mismatch(url: string, wanted: Digest, found: Digest): CairnError {
  return new CairnError('CHECKSUM_MISMATCH', {
    message: `"${redactUrl(url)}" does not have the wanted checksum`,
    notes: [{ message: `wanted ${wanted}` }, { message: `found  ${found}` }],
    help: 'if the new content is right, put its checksum into --checksum',
  });
}
