import { parentPort, workerData } from 'node:worker_threads';
import { type BlockFormat, blockCompressor } from '../block-compressor.ts';

// The program of a compression thread (see compression-workers.ts): a block in, a block out.
const port = parentPort;
if (port === null) throw new Error('this is the program of a worker thread');
const ready = blockCompressor(workerData as BlockFormat);
port.on('message', async (block: Uint8Array) => {
  const compressed = (await ready)(block);
  port.postMessage(compressed, [compressed.buffer as ArrayBuffer]);
});
