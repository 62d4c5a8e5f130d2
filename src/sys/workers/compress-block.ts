import { parentPort, workerData } from 'node:worker_threads';
import { type BlockFormat, blockCompressor } from '../block-compressor.ts';

// The program of a compression thread (see compression-workers.ts): a block in; it and its compressed form out. The memory of blocks goes
// round: left to the collector, whose idea of pressure does not see it, it would pile up.
const port = parentPort;
if (port === null) throw new Error('this is the program of a worker thread');
const ready = blockCompressor(workerData as BlockFormat);
port.on('message', async (block: Uint8Array) => {
  const compressed = (await ready)(block);
  port.postMessage({ compressed, block }, [compressed.buffer as ArrayBuffer, block.buffer as ArrayBuffer]);
});
