import * as fs from 'node:fs';
import { availableParallelism } from 'node:os';
import { type BlockFormat, blockCompressor, CompressionWorkers } from '../../sys/index.ts';
import { blobNotFound, type FileBlobStore } from '../blob-store.ts';
import type { DiffId, LayerCompression } from '../contracts.ts';
import { isSystemError } from '../store-error.ts';

/**
 * Bytes of a layer that are compressed together. Part of the format: another size gives other digests, so it never follows the
 * number of CPUs.
 */
const blockBytes = 1 << 20;
const maxThreads = 64;

/**
 * Compresses layers in blocks of 1 MiB, each a gzip member or zstd frame of its own (RFC 1952, 2.2 and RFC 8878, 3: a file is a
 * row of them), in worker threads. The compressors are WebAssembly at pinned versions: Node's own zlib gives other bytes with
 * other versions and CPUs.
 */
export class LayerCompressor {
  readonly #blobs: FileBlobStore;
  readonly #threads: number;
  readonly #workers = new Map<BlockFormat, CompressionWorkers>();

  /** @param threads - by default one for each CPU; the bytes do not depend on it */
  constructor(blobs: FileBlobStore, threads = Math.min(availableParallelism(), maxThreads)) {
    this.#blobs = blobs;
    this.#threads = threads;
  }

  /** The compressed layer in chunks, each of which is valid until the next one is asked for. @throws {CairnError} BLOB_NOT_FOUND */
  async *compress(diffId: DiffId, format: LayerCompression): AsyncGenerator<Uint8Array> {
    const size = this.#blobs.size(diffId);
    const { take, compress, giveBack } = await this.#compressorFor(format, size);
    const file = await fs.promises.open(this.#blobs.path(diffId)).catch((error: unknown) => {
      throw isSystemError(error, 'ENOENT') ? blobNotFound(diffId) : error;
    });
    // Enough blocks in flight to keep every thread busy while the oldest one is handed out.
    const window = this.#threads * 2;
    const inFlight: Promise<Uint8Array>[] = [];
    try {
      for (let offset = 0; offset < size || inFlight.length > 0; ) {
        while (offset < size && inFlight.length < window) {
          const block = take(Math.min(blockBytes, size - offset));
          const { bytesRead } = await file.read(block, 0, block.length, offset);
          if (bytesRead !== block.length) throw blobNotFound(diffId);
          offset += block.length;
          const compressed = compress(block);
          // A failure is seen when its turn comes; until then it must not count as unhandled.
          compressed.catch(() => undefined);
          inFlight.push(compressed);
        }
        const chunk = await (inFlight.shift() as Promise<Uint8Array>);
        yield chunk;
        giveBack(chunk);
      }
    } finally {
      await file.close();
    }
  }

  /** Ends the worker threads. Idempotent. */
  close(): void {
    for (const workers of this.#workers.values()) workers.close();
    this.#workers.clear();
  }

  /** A few blocks are not worth the start of threads. */
  async #compressorFor(format: BlockFormat, size: number): Promise<Compression> {
    const isLarge = size > 4 * blockBytes;
    if (!isLarge || this.#threads === 1 || !CompressionWorkers.areAvailable) {
      const compressBlock = await blockCompressor(format);
      return {
        take: (length) => new Uint8Array(length),
        compress: async (block) => compressBlock(block),
        giveBack: () => undefined,
      };
    }
    const workers = this.#workers.get(format) ?? new CompressionWorkers(format, this.#threads);
    this.#workers.set(format, workers);
    return {
      take: (length) => workers.take(length),
      compress: (block) => workers.compress(block),
      giveBack: (chunk) => workers.giveBack(chunk),
    };
  }
}

interface Compression {
  /** Memory for a block. */
  readonly take: (sizeBytes: number) => Uint8Array;
  readonly compress: (block: Uint8Array) => Promise<Uint8Array>;
  /** Takes back what `compress` gave. */
  readonly giveBack: (compressed: Uint8Array) => void;
}
