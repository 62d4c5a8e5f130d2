import { StringDecoder } from 'node:string_decoder';
import type { BuildEvent } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import type { OutputStream } from '../host.ts';
import type { Progress } from './progress.ts';

/** One JSON object a line: the builder's events, output as text, errors as code and message. */
export class RawJsonProgress implements Progress {
  readonly #out: OutputStream;
  readonly #decoders = new Map<string, StringDecoder>();

  constructor(out: OutputStream) {
    this.#out = out;
  }

  readonly onEvent = (event: BuildEvent): void => {
    this.#out.write(`${JSON.stringify(this.#document(event))}\n`);
  };

  readonly finish = async (): Promise<void> => {};

  #document(event: BuildEvent): Readonly<Record<string, unknown>> {
    if (event.type === 'step-output') {
      const { chunk, ...rest } = event;
      const key = `${event.id} ${event.stream}`;
      const decoder = this.#decoders.get(key) ?? new StringDecoder('utf8');
      this.#decoders.set(key, decoder);
      return { ...rest, text: decoder.write(Buffer.from(chunk)) };
    }
    if (event.type === 'step-error') return { ...event, error: errorDocument(event.error) };
    return event;
  }
}

function errorDocument(error: unknown): Readonly<Record<string, unknown>> {
  if (error instanceof CairnError) return { code: error.code, message: error.message, at: error.at };
  return { message: error instanceof Error ? error.message : String(error) };
}
