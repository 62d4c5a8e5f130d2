import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CairnError } from '../../errors/index.ts';
import { type Descriptor, fromHex } from '../../oci/index.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { isConnectionError } from '../http/network-error.ts';
import { unreachable } from './registry-error.ts';
import type { RepositoryClient } from './repository-client.ts';

export interface DownloadOptions {
  /** Begins error messages. */
  readonly doing: string;
  readonly signal?: AbortSignal;
}

/**
 * The bytes of a blob from the first source that has them. A connection that breaks is taken up where it broke, as often as there
 * is progress, at the next source when this one gives no more. Never more bytes than the descriptor states; who stores them
 * verifies their digest.
 * @throws {CairnError} DIGEST_MISMATCH for another length, REGISTRY_RESPONSE_INVALID for a lie about ranges, and as `openBlob`
 */
export async function* downloadBlob(
  sources: readonly RepositoryClient[],
  descriptor: Descriptor,
  options: DownloadOptions,
): AsyncGenerator<Uint8Array> {
  let offset = 0;
  for (const [at, source] of sources.entries()) {
    try {
      for await (const chunk of downloadFrom(source, descriptor, offset, options)) {
        offset += chunk.length;
        yield chunk;
      }
      return;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (at === sources.length - 1 || !(error instanceof CairnError)) throw error;
    }
  }
}

async function* downloadFrom(
  source: RepositoryClient,
  descriptor: Descriptor,
  from: number,
  options: DownloadOptions,
): AsyncGenerator<Uint8Array> {
  const { doing, signal } = options;
  const delaysMs = source.registry.retryDelaysMs;
  let offset = from;
  let failures = 0;
  while (offset < descriptor.size || (offset === 0 && descriptor.size === 0)) {
    const before = offset;
    try {
      const response = await source.openBlob(descriptor.digest, offset, doing, signal);
      for await (const chunk of fromOffset(response, offset, descriptor, doing)) {
        offset += chunk.length;
        if (offset > descriptor.size) throw wrongLength(descriptor, source, doing);
        yield chunk;
      }
      if (offset === descriptor.size) return;
      throw new CutOff();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof CutOff) && !isConnectionError(error)) throw error;
      // Any progress is a reason to go on; only a source that gives nothing is given up.
      failures = offset > before ? 0 : failures + 1;
      const pauseMs = delaysMs[failures - 1];
      if (failures > 0 && pauseMs === undefined) throw givenUp(error, source, descriptor, { doing, offset });
      if (failures > 0) await sleep(pauseMs, undefined, signal ? { signal } : {});
    }
  }
}

/** The answer ended before the blob did, although the connection did not break. */
class CutOff extends Error {}

/** The body from `offset` on, whether the registry understands ranges or not. */
async function* fromOffset(
  response: HttpResponse,
  offset: number,
  { size }: Descriptor,
  doing: string,
): AsyncGenerator<Uint8Array> {
  let skipped = offset;
  if (response.status === 206) {
    const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(response.header('content-range') ?? '');
    const isRight =
      range !== null && Number(range[1]) === offset && (range[3] === '*' || Number(range[3]) === size);
    if (!isRight) {
      await response.body.dump();
      throw new CairnError('REGISTRY_RESPONSE_INVALID', {
        message: `${doing}: ${response.url.host} was asked for bytes ${offset}-${size - 1} and sent "${response.header('content-range') ?? 'no range'}"`,
        help: 'nothing was stored; the registry or a proxy before it is broken',
      });
    }
    skipped = 0;
  }
  for await (const chunk of response.body) {
    if (skipped >= chunk.length) {
      skipped -= chunk.length;
      continue;
    }
    yield skipped > 0 ? chunk.subarray(skipped) : chunk;
    skipped = 0;
  }
}

/** Bytes that pass are hashed; at their end the digest and size must be the descriptor's. @throws {CairnError} DIGEST_MISMATCH */
export async function* verified(
  bytes: AsyncIterable<Uint8Array>,
  descriptor: Descriptor,
  doing: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    size += chunk.length;
    yield chunk;
  }
  const found = fromHex(hash.digest('hex'));
  if (found === descriptor.digest && size === descriptor.size) return;
  throw new CairnError('DIGEST_MISMATCH', {
    message: `${doing}: expected ${descriptor.digest} (${descriptor.size} bytes), got ${found} (${size} bytes)`,
    help: 'the registry or something on the way to it damages data',
  });
}

function wrongLength(
  { digest, size }: Descriptor,
  { registry }: RepositoryClient,
  doing: string,
): CairnError {
  return new CairnError('DIGEST_MISMATCH', {
    message: `${doing}: ${registry.host} sends more than the ${size} bytes of blob ${digest}`,
    help: 'the registry or something on the way to it damages data; nothing was stored',
  });
}

function givenUp(
  error: unknown,
  { registry }: RepositoryClient,
  { digest, size }: Descriptor,
  { doing, offset }: { readonly doing: string; readonly offset: number },
): unknown {
  if (!(error instanceof CutOff)) return unreachable(error, registry.host, doing);
  return new CairnError('REGISTRY_RESPONSE_INVALID', {
    message: `${doing}: ${registry.host} ends blob ${digest} after ${offset} of ${size} bytes, again and again`,
    help: 'nothing was stored; the blob may be damaged in the registry',
  });
}
