import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { BlockFormat } from './block-compressor.ts';

/** What a thread is sent; the memory of both moves there. */
export interface StartedBlock {
  readonly block: Uint8Array;
  /** For the compressed form, if it fits. */
  readonly space: ArrayBuffer;
}

/** What a thread sends back. */
export interface FinishedBlock {
  readonly block: Uint8Array;
  readonly compressed: Uint8Array;
}

interface Job {
  readonly block: Uint8Array;
  readonly resolve: (compressed: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

const program = fileURLToPath(new URL('./worker-compress-block.js', import.meta.url));

/**
 * Threads that compress blocks, each one at a time. They do not keep the process alive; `close` ends them. The memory of blocks and
 * of their compressed forms goes round: left to the collector, whose idea of pressure does not see it, it would pile up.
 */
export class CompressionWorkers {
  /** True when the threads' program lies beside this one, as in the built package; sources that run unbundled do without. */
  static get areAvailable(): boolean {
    return existsSync(program);
  }

  readonly #format: BlockFormat;
  readonly #count: number;
  readonly #idle: Worker[] = [];
  readonly #all: Worker[] = [];
  readonly #waiting: Job[] = [];
  readonly #running = new Map<Worker, Job>();
  readonly #blocks: ArrayBuffer[] = [];
  readonly #spaces: ArrayBuffer[] = [];

  constructor(format: BlockFormat, count: number) {
    this.#format = format;
    this.#count = count;
  }

  /** Memory for a block, one that has been compressed if there is any. */
  take(sizeBytes: number): Uint8Array {
    const used = this.#blocks.pop();
    const buffer = used !== undefined && used.byteLength >= sizeBytes ? used : new ArrayBuffer(sizeBytes);
    return new Uint8Array(buffer, 0, sizeBytes);
  }

  /** Takes back a compressed block that nobody reads any more. */
  giveBack(compressed: Uint8Array): void {
    this.#spaces.push(compressed.buffer as ArrayBuffer);
  }

  /** Compresses a block; its memory moves to the thread and is gone for the caller. */
  compress(block: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ block, resolve, reject });
      this.#next();
    });
  }

  /** Ends the threads; what was waiting fails. Idempotent. */
  close(): void {
    for (const worker of this.#all.splice(0)) void worker.terminate();
    const ended = new Error('the compression was ended');
    for (const job of [...this.#waiting.splice(0), ...this.#running.values()]) job.reject(ended);
    this.#running.clear();
    this.#idle.length = 0;
  }

  #next(): void {
    while (this.#waiting.length > 0) {
      const worker = this.#idle.pop() ?? (this.#all.length < this.#count ? this.#start() : undefined);
      if (worker === undefined) return;
      const job = this.#waiting.shift() as Job;
      this.#running.set(worker, job);
      worker.ref();
      // Random bytes grow by a few bytes; anything else needs less.
      const space = this.#spaces.pop() ?? new ArrayBuffer(job.block.length + 4096);
      const started: StartedBlock = { block: job.block, space };
      worker.postMessage(started, [job.block.buffer as ArrayBuffer, space]);
    }
  }

  #start(): Worker {
    const worker = new Worker(program, { workerData: this.#format });
    this.#all.push(worker);
    worker.on('message', ({ compressed, block }: FinishedBlock) => {
      this.#blocks.push(block.buffer as ArrayBuffer);
      const job = this.#running.get(worker);
      this.#running.delete(worker);
      worker.unref();
      this.#idle.push(worker);
      job?.resolve(compressed);
      this.#next();
    });
    worker.on('error', (error) => {
      this.#running.get(worker)?.reject(error instanceof Error ? error : new Error(String(error)));
      this.#running.delete(worker);
      this.#all.splice(this.#all.indexOf(worker), 1);
      this.#next();
    });
    return worker;
  }
}
