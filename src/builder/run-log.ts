import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const tailBytes = 4096;
const tailLines = 10;

/** The output of one RUN, kept whole in the store's logs folder; its end is kept in memory for messages. */
export class RunLog {
  readonly path: string;
  readonly #fd: number;
  #tail: Buffer = Buffer.alloc(0);
  #isOpen = true;

  constructor(storeRoot: string, name: string) {
    const folder = join(storeRoot, 'logs');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.path = join(folder, `${process.pid}-${name}.log`);
    this.#fd = openSync(this.path, 'w', 0o600);
  }

  write(chunk: Uint8Array): void {
    if (this.#isOpen) writeSync(this.#fd, chunk);
    this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-tailBytes);
  }

  /** The last lines, as text. */
  tail(): string {
    return this.#tail.toString('utf8').trimEnd().split('\n').slice(-tailLines).join('\n');
  }

  close(): void {
    if (this.#isOpen) closeSync(this.#fd);
    this.#isOpen = false;
  }
}
