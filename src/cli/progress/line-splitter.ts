import { StringDecoder } from 'node:string_decoder';

/** A line longer than this is cut into several: memory stays flat whatever a program prints. */
const maxLineLength = 64 * 1024;

/**
 * Cuts a byte stream into lines of text that are safe to print: of a line overwritten with `\r` (progress bars) the
 * last state stays, escape sequences and control characters go.
 */
export class LineSplitter {
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  /** Lines that these bytes complete. */
  push(chunk: Uint8Array): readonly string[] {
    const text =
      this.#rest + this.#decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    const lines = text.split('\n');
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > maxLineLength) {
      lines.push(this.#rest);
      this.#rest = '';
    }
    return lines.map(cleanLine);
  }

  /** What has been printed of the line that is not complete yet, for a live display. */
  get partial(): string {
    return cleanLine(this.#rest);
  }

  /** The last line when it has no line end. */
  end(): readonly string[] {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = '';
    return rest === '' ? [] : [cleanLine(rest)];
  }
}

// CSI sequences, OSC and other strings up to their terminator, and two-character escapes.
const escapes = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])/g;

function cleanLine(line: string): string {
  const plain = line.replace(escapes, '').replace(/\r+$/, '');
  const lastState = plain.slice(plain.lastIndexOf('\r') + 1);
  return lastState.replace(/[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]/g, '');
}
