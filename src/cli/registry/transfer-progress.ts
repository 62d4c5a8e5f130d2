import { hexOf } from '../../oci/index.ts';
import type { BlobStatus, TransferEvent } from '../../registry/index.ts';
import { humanSize } from '../format/index.ts';
import type { OutputStream } from '../host.ts';

type Direction = 'pull' | 'push';
type BlobEvent = Extract<TransferEvent, { type: 'blob' }>;

/** Lines that one change of state adds to a log, as Docker's client prints them without a terminal. */
const logged: Readonly<Record<Direction, Readonly<Partial<Record<BlobStatus, readonly string[]>>>>> = {
  pull: {
    waiting: ['Pulling fs layer'],
    exists: ['Already exists'],
    complete: ['Verifying Checksum', 'Download complete', 'Pull complete'],
  },
  push: {
    waiting: ['Preparing'],
    exists: ['Layer already exists'],
    complete: ['Pushed'],
  },
};

/** What a terminal shows beside a layer's ID. */
const shown: Readonly<Record<Direction, Readonly<Record<BlobStatus, string>>>> = {
  pull: {
    waiting: 'Pulling fs layer',
    downloading: 'Downloading',
    unpacking: 'Extracting',
    compressing: '',
    uploading: '',
    exists: 'Already exists',
    mounted: '',
    complete: 'Pull complete',
  },
  push: {
    waiting: 'Preparing',
    downloading: '',
    unpacking: '',
    compressing: 'Compressing',
    uploading: 'Pushing',
    exists: 'Layer already exists',
    mounted: 'Mounted from',
    complete: 'Pushed',
  },
};

const barWidth = 50;
/** A terminal is drawn at most this often, in milliseconds. */
const frameMs = 100;

/** Shows a pull or push: a log of changes, or on a terminal one line for each layer that is drawn anew. */
export class TransferProgress {
  readonly #out: OutputStream;
  readonly #direction: Direction;
  readonly #now: () => number;
  readonly #lines = new Map<string, string>();
  #drawnLines = 0;
  #drawnAt = 0;

  constructor(out: OutputStream, direction: Direction, now: () => number) {
    this.#out = out;
    this.#direction = direction;
    this.#now = now;
  }

  readonly onEvent = (event: TransferEvent): void => {
    if (event.type !== 'blob' || event.isLayer === false) return;
    if (this.#out.isTty) this.#draw(event);
    else for (const line of this.#logLines(event)) this.#out.write(`${shortId(event)}: ${line}\n`);
  };

  /** Draws the last state; further output comes below. */
  finish(): void {
    if (this.#out.isTty) this.#redraw();
    this.#drawnLines = 0;
    this.#lines.clear();
  }

  #logLines(event: BlobEvent): readonly string[] {
    if (event.status === 'mounted') return [`Mounted from ${event.from ?? ''}`];
    return logged[this.#direction][event.status] ?? [];
  }

  #draw(event: BlobEvent): void {
    const { status, current, total, from } = event;
    const word = shown[this.#direction][status];
    const isMoving = status === 'downloading' || status === 'uploading' || status === 'compressing';
    const text = isMoving ? `${word} ${progressBar(current, total)}` : [word, from].filter(Boolean).join(' ');
    this.#lines.set(shortId(event), text);
    const now = this.#now();
    if (isMoving && now - this.#drawnAt < frameMs) return;
    this.#drawnAt = now;
    this.#redraw();
  }

  #redraw(): void {
    const up = this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A` : '';
    const body = [...this.#lines].map(
      ([id, text]) => `\x1b[2K${`${id}: ${text}`.slice(0, this.#out.columns - 1)}\n`,
    );
    this.#out.write(up + body.join(''));
    this.#drawnLines = this.#lines.size;
  }
}

function shortId({ digest }: BlobEvent): string {
  return hexOf(digest).slice(0, 12);
}

function progressBar(current: number, total: number): string {
  const filled = total === 0 ? barWidth : Math.min(Math.floor((current / total) * barWidth), barWidth);
  const bar = `${'='.repeat(filled)}>`.slice(0, barWidth).padEnd(barWidth);
  return `[${bar}] ${humanSize(current, 4).padStart(8)}/${humanSize(total, 4)}`;
}
