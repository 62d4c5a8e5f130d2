/** A block's format: one gzip member, or one zstd frame. */
export type BlockFormat = 'gzip' | 'zstd';

/**
 * miniz's level 2 comes nearest to what Docker's engine pushes (measured on a Debian root: 0.37 of the size for both), and zstd's
 * level 3 is its default. Levels and package versions are part of the format of what is pushed: another one means other digests.
 */
const gzipLevel = 2;
const zstdLevel = 3;

/** Compresses a block into memory that `take` gives for its size; without, into memory of its own. */
export type BlockCompressor = (block: Uint8Array, take?: (sizeBytes: number) => Uint8Array) => Uint8Array;

/** A function that compresses one block. Loads WebAssembly at first use; the same bytes on every machine and Node. */
export async function blockCompressor(format: BlockFormat): Promise<BlockCompressor> {
  return format === 'gzip' ? gzipCompressor() : zstdCompressor();
}

async function gzipCompressor(): Promise<BlockCompressor> {
  const { gzip, initBundledOnce, Memory } = await import('@hazae41/foras');
  await initBundledOnce();
  return (block, take) => {
    // Memory of WebAssembly is not collected: both are ours to free.
    const input = new Memory(block);
    try {
      const result = gzip(input, gzipLevel);
      try {
        return copyOf(result.bytes, take);
      } finally {
        result.free();
      }
    } finally {
      input.free();
    }
  };
}

async function zstdCompressor(): Promise<BlockCompressor> {
  const { default: zstd } = await import('@foxglove/wasm-zstd');
  await zstd.isLoaded;
  // The result lies in the memory of the next call.
  return (block, take) => copyOf(zstd.compress(block, zstdLevel), take);
}

function copyOf(
  bytes: Uint8Array,
  take: (sizeBytes: number) => Uint8Array = (sizeBytes) => new Uint8Array(sizeBytes),
): Uint8Array {
  const copy = take(bytes.length);
  copy.set(bytes);
  return copy;
}
