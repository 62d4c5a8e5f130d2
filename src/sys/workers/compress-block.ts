import { parentPort, workerData } from 'node:worker_threads';
import { type BlockFormat, blockCompressor } from '../block-compressor.ts';
import type { FinishedBlock, StartedBlock } from '../compression-workers.ts';

// The program of a compression thread (see compression-workers.ts): a block and memory for its compressed form in, both out again.
const port = parentPort;
if (port === null) throw new Error('this is the program of a worker thread');
const ready = blockCompressor(workerData as BlockFormat);
port.on('message', async ({ block, space }: StartedBlock) => {
  const take = (size: number) =>
    new Uint8Array(space.byteLength < size ? new ArrayBuffer(size) : space, 0, size);
  const compressed = (await ready)(block, take);
  const finished: FinishedBlock = { block, compressed };
  port.postMessage(finished, [block.buffer as ArrayBuffer, compressed.buffer as ArrayBuffer]);
});
