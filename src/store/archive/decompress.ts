import type { Transform } from 'node:stream';
import { pipeline, Readable } from 'node:stream';
import { CairnError } from '../../errors/index.ts';
import { filterThrough, isMissingProgram } from './filter-program.ts';

export type Compression = 'none' | 'gzip' | 'bzip2' | 'xz' | 'zstd';

/** Bytes that `compressionOf` wants to see, if there are as many. */
export const magicBytes = 6;

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
];

/** How bytes are compressed, by how they begin: media types and file names are only claims. */
export function compressionOf(head: Uint8Array): Compression {
  const found = magics.find(([, magic]) => magic.every((byte, index) => head[index] === byte));
  // RFC 8878, "Skippable Frames": 16 magics, and a frame of data may follow.
  if (
    found === undefined &&
    (head[0] ?? 0) >> 4 === 5 &&
    head[1] === 0x2a &&
    head[2] === 0x4d &&
    head[3] === 0x18
  )
    return 'zstd';
  return found?.[0] ?? 'none';
}

/**
 * The bytes behind gzip, bzip2, xz or zstd, or the input itself. Streaming, several frames or members in a row included.
 * @throws {CairnError} ARCHIVE_INVALID for damaged or cut-off data, PROGRAM_NOT_FOUND for xz and bzip2 without their
 *   programs; what the source throws passes
 */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { head, all } = await peek(source);
  const compression = compressionOf(head);
  switch (compression) {
    case 'none':
      yield* all;
      break;
    case 'gzip': {
      const { createGunzip } = await import('node:zlib');
      yield* transformed(all, createGunzip({ chunkSize: 1 << 18 }), compression);
      break;
    }
    case 'zstd':
      yield* zstd(all);
      break;
    default:
      yield* filterThrough(all, compression === 'xz' ? xzCommand : ['bzip2', '-dc'], compression);
  }
}

// A hostile file may ask for a dictionary of 1.5 GiB; what people write (xz -9e) needs 65 MiB.
const xzCommand = ['xz', '-dc', '--memlimit-decompress=256MiB'];

/** Node's own (22.15 and later), else the program, else the decoder in JavaScript, which takes four times as long. */
async function* zstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { createZstdDecompress: create }: Record<string, unknown> = await import('node:zlib');
  if (typeof create === 'function') {
    yield* transformed(source, create() as Transform, 'zstd');
  } else if (await isMissingProgram('zstd')) {
    yield* zstdInJavaScript(source);
  } else {
    yield* filterThrough(source, ['zstd', '-dcq', '--memory=256MB'], 'zstd');
  }
}

/** Exported for its test: hosts with the program never come here. */
export async function* zstdInJavaScript(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd');
  const ready: Uint8Array[] = [];
  const decoder = new Decompress((chunk) => {
    if (chunk.length > 0) ready.push(chunk);
  });
  const guarded = (work: () => void) => {
    try {
      work();
    } catch (error) {
      throw damaged('zstd', error);
    }
  };
  for await (const chunk of source) {
    guarded(() => decoder.push(chunk));
    yield* ready.splice(0);
  }
  guarded(() => decoder.push(new Uint8Array(), true));
  yield* ready.splice(0);
}

async function* transformed(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
  compression: Compression,
): AsyncGenerator<Uint8Array> {
  let sourceError: unknown;
  async function* guarded() {
    try {
      yield* source;
    } catch (error) {
      sourceError = error;
      throw error;
    }
  }
  // The iteration below sees every error: pipeline destroys the transform with it.
  pipeline(Readable.from(guarded()), transform, () => undefined);
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
  } catch (error) {
    throw sourceError ?? damaged(compression, error);
  }
}

/** The error for data that does not decompress. */
function damaged(compression: Compression, cause: unknown): CairnError {
  return new CairnError('ARCHIVE_INVALID', {
    message: `the ${compression} data is damaged or cut off: ${cause instanceof Error ? cause.message : String(cause)}`,
    help: 'copy or download the archive again',
    cause,
  });
}

/** The first bytes, and everything including them. */
async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly head: Uint8Array; readonly all: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.length < magicBytes) {
    const next = await iterator.next();
    if (next.done) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  const first = head;
  async function* all() {
    try {
      if (first.length > 0) yield first;
      for (;;) {
        const next = await iterator.next();
        if (next.done) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { head, all: all() };
}
