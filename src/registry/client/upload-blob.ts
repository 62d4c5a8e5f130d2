import { setTimeout as sleep } from 'node:timers/promises';
import { CairnError } from '../../errors/index.ts';
import type { Descriptor } from '../../oci/index.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { registryError } from './registry-error.ts';
import { type RepositoryClient, uploadUrl } from './repository-client.ts';

export interface UploadOptions {
  /** Begins error messages. */
  readonly doing: string;
  readonly signal?: AbortSignal;
  /** Bytes in one request, at most; 64 MiB by default: what proxies before registries let pass. */
  readonly chunkBytes?: number;
  /** Called with the number of bytes that are there. */
  readonly onProgress?: (bytes: number) => void;
}

/** Opens the blob's bytes at an offset; called again when an upload is resumed. */
export type OpenAt = (offset: number) => AsyncIterable<Uint8Array>;

const defaultChunkBytes = 64 << 20;

/**
 * Uploads a blob in chunks; after a failure it asks how much has arrived and goes on from there. Memory does not depend on the
 * size: a chunk is streamed.
 * @param upload - where to: what `startUpload` gave
 * @throws {CairnError} REGISTRY_FAILED, REGISTRY_DENIED, REGISTRY_UNREACHABLE, DIGEST_MISMATCH
 */
export async function uploadBlob(
  repository: RepositoryClient,
  descriptor: Descriptor,
  open: OpenAt,
  upload: { readonly url: URL; readonly minChunkBytes: number },
  options: UploadOptions,
): Promise<void> {
  const { size } = descriptor;
  const delays = repository.registry.retryDelaysMs;
  const chunkBytes = Math.max(options.chunkBytes ?? defaultChunkBytes, upload.minChunkBytes);
  let { url } = upload;
  let offset = 0;
  let failures = 0;
  while (offset < size) {
    const end = Math.min(offset + chunkBytes, size);
    try {
      const response = await sendChunk(repository, { url, from: offset, to: end, size, open }, options);
      url = uploadUrl(response, options.doing);
      offset = Math.min(arrivedBytes(response) ?? end, size);
      failures = 0;
      options.onProgress?.(offset);
    } catch (error) {
      options.signal?.throwIfAborted();
      const pauseMs = delays[failures++];
      if (pauseMs === undefined || !isResumable(error)) throw error;
      await sleep(pauseMs, undefined, options.signal ? { signal: options.signal } : {});
      const state = await askState(repository, url, options);
      // A registry that has forgotten the upload cannot go on with it: the first error says more.
      if (state === null) throw error;
      url = state.url;
      offset = state.arrived;
    }
  }
  await finish(repository, descriptor, url, options);
}

interface Chunk {
  readonly url: URL;
  readonly from: number;
  readonly to: number;
  readonly size: number;
  readonly open: OpenAt;
}

async function sendChunk(
  repository: RepositoryClient,
  { url, from, to, size, open }: Chunk,
  { doing, signal }: UploadOptions,
): Promise<HttpResponse> {
  const isWhole = from === 0 && to === size;
  const response = await repository.upload(
    {
      method: 'PATCH',
      url,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(to - from),
        // Docker's own registries take a stream without it; the rest wants it in this form for a chunk.
        ...(isWhole ? {} : { 'content-range': `${from}-${to - 1}` }),
      },
      body: () => limited(open(from), to - from, to === size),
      ...(signal && { signal }),
    },
    doing,
  );
  if (response.status !== 202 && response.status !== 201) throw await registryError(response, doing);
  await response.body.dump();
  return response;
}

/** distribution-spec, "Pushing a blob in chunks": how much is there, and where to go on. */
async function askState(
  repository: RepositoryClient,
  url: URL,
  { doing, signal }: UploadOptions,
): Promise<{ readonly url: URL; readonly arrived: number } | null> {
  const response = await repository.upload({ method: 'GET', url, ...(signal && { signal }) }, doing);
  await response.body.dump();
  if (response.status !== 204 && response.status !== 200) return null;
  return { url: uploadUrl(response, doing), arrived: arrivedBytes(response) ?? 0 };
}

/** `Range: 0-N` names the last byte that is there. Docker's registry says `0-0` for nothing as well as for one byte. */
function arrivedBytes(response: HttpResponse): number | null {
  const range = /^(?:bytes=)?0-(\d+)$/.exec(response.header('range') ?? '');
  if (range === null) return null;
  const last = Number(range[1]);
  return last === 0 ? 0 : last + 1;
}

async function finish(
  repository: RepositoryClient,
  { digest }: Descriptor,
  url: URL,
  { doing, signal }: UploadOptions,
): Promise<void> {
  const last = new URL(url);
  last.searchParams.set('digest', digest);
  const response = await repository.upload(
    { method: 'PUT', url: last, headers: { 'content-length': '0' }, ...(signal && { signal }) },
    doing,
  );
  if (response.status !== 201 && response.status !== 204) throw await registryError(response, doing);
  await response.body.dump();
}

/** A refusal will not change; a lost connection, a busy registry or a contradiction over the offset may. */
function isResumable(error: unknown): boolean {
  return (
    error instanceof CairnError && (error.code === 'REGISTRY_UNREACHABLE' || error.code === 'REGISTRY_FAILED')
  );
}

/** @param isLast - read on behind the last byte: a source that verifies speaks up there */
async function* limited(
  bytes: AsyncIterable<Uint8Array>,
  count: number,
  isLast: boolean,
): AsyncGenerator<Uint8Array> {
  let left = count;
  for await (const chunk of bytes) {
    if (left > 0) yield chunk.length > left ? chunk.subarray(0, left) : chunk;
    left -= Math.min(chunk.length, left);
    if (left === 0 && !isLast) return;
  }
}
