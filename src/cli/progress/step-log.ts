import { LineSplitter } from './line-splitter.ts';

/** Text kept of one step's output. A longer log loses its beginning here; the store keeps it whole. */
const maxKeptLength = 4 * 1024 * 1024;

/** The output of one step as lines, stdout and stderr in the order in which they came. */
export class StepLog {
  readonly #splitters = { stdout: new LineSplitter(), stderr: new LineSplitter() };
  #lines: string[] = [];
  #length = 0;
  #dropped = 0;

  /** @returns the lines that the chunk completes */
  push(stream: 'stdout' | 'stderr', chunk: Uint8Array): readonly string[] {
    return this.#keep(this.#splitters[stream].push(chunk));
  }

  /** @returns unfinished last lines */
  end(): readonly string[] {
    return this.#keep([...this.#splitters.stdout.end(), ...this.#splitters.stderr.end()]);
  }

  /** The last lines, an unfinished one included. */
  tail(count: number): readonly string[] {
    const partial = [this.#splitters.stdout.partial, this.#splitters.stderr.partial].filter(
      (line) => line !== '',
    );
    return count === 0 ? [] : [...this.#lines.slice(-count), ...partial].slice(-count);
  }

  /** All kept lines; the first says so when earlier ones were dropped. */
  lines(): readonly string[] {
    return this.#dropped === 0
      ? this.#lines
      : [`… ${this.#dropped} earlier lines are not shown …`, ...this.#lines];
  }

  #keep(lines: readonly string[]): readonly string[] {
    for (const line of lines) {
      this.#lines.push(line);
      this.#length += line.length + 1;
    }
    if (this.#length > maxKeptLength) this.#dropFirstHalf();
    return lines;
  }

  #dropFirstHalf(): void {
    const count = Math.ceil(this.#lines.length / 2);
    for (const line of this.#lines.slice(0, count)) this.#length -= line.length + 1;
    this.#lines = this.#lines.slice(count);
    this.#dropped += count;
  }
}
