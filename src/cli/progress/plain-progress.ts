import type { BuildEvent, BuildStep } from '../../builder/index.ts';
import { printable } from '../../errors/index.ts';
import type { OutputStream } from '../host.ts';
import { failureFrame } from './failure-frame.ts';
import { errorLine, type Progress, seconds, stepTitle } from './progress.ts';
import { StepLog } from './step-log.ts';

/** Lines of a failed step's log that are repeated at the end, when everything has been printed already. */
const repeatedLines = 10;

interface ShownStep {
  readonly step: BuildStep;
  readonly startedAt: number;
  readonly log: StepLog;
}

/** One line per fact, each with its step's number: BuildKit's `--progress=plain`. */
export class PlainProgress implements Progress {
  readonly #out: OutputStream;
  #steps: ReadonlyMap<number, BuildStep> = new Map();
  readonly #running = new Map<number, ShownStep>();
  #failed: ShownStep | null = null;
  /** The step whose lines were printed last. */
  #current: number | null = null;

  constructor(out: OutputStream) {
    this.#out = out;
  }

  readonly onEvent = (event: BuildEvent): void => {
    switch (event.type) {
      case 'plan':
        this.#steps = new Map(event.steps.map((step) => [step.id, step]));
        return;
      case 'step-start':
        this.#start(event.id, event.at);
        return;
      case 'step-output': {
        const shown = this.#running.get(event.id);
        if (shown) this.#output(shown, event.at, shown.log.push(event.stream, event.chunk));
        return;
      }
      case 'step-end':
        this.#end(event);
        return;
      case 'step-error':
        this.#error(event.id, event.at, event.error);
        return;
      case 'export':
        this.#export(event.imageId, event.tags);
        return;
      case 'warning':
      // All warnings are shown together when the build is over.
    }
  };

  readonly finish = async (failed: boolean): Promise<void> => {
    if (!failed || !this.#failed) return;
    this.#write(failureFrame(this.#failed.step, this.#failed.log.tail(repeatedLines)));
  };

  #start(id: number, at: number): void {
    const step = this.#steps.get(id);
    if (!step) return;
    this.#running.set(id, { step, startedAt: at, log: new StepLog() });
    this.#switchTo(id);
    this.#write(`#${id} ${stepTitle(step)}\n`);
  }

  #output(shown: ShownStep, at: number, lines: readonly string[]): void {
    if (lines.length === 0) return;
    const { id } = shown.step;
    if (this.#current !== id) {
      this.#switchTo(id);
      this.#write(`#${id} ${stepTitle(shown.step)}\n`);
    }
    const time = ((at - shown.startedAt) / 1000).toFixed(3);
    this.#write(lines.map((line) => `#${id} ${time} ${line}\n`).join(''));
  }

  #end(event: Extract<BuildEvent, { type: 'step-end' }>): void {
    const shown = this.#running.get(event.id);
    if (!shown) return;
    this.#output(shown, event.at, shown.log.end());
    this.#switchTo(event.id);
    if (event.note)
      this.#write(`#${event.id} ${event.cached ? 'cached' : 'not cached'}: ${printable(event.note)}\n`);
    this.#write(`#${event.id} ${event.cached ? 'CACHED' : `DONE ${seconds(event.at - shown.startedAt)}`}\n`);
    this.#running.delete(event.id);
  }

  #error(id: number, at: number, error: unknown): void {
    const shown = this.#running.get(id);
    if (!shown) return;
    this.#output(shown, at, shown.log.end());
    this.#switchTo(id);
    this.#write(`#${id} ERROR: ${errorLine(error)}\n`);
    this.#running.delete(id);
    this.#failed ??= shown;
  }

  #export(imageId: string, tags: readonly string[]): void {
    const id = this.#steps.size + 1;
    this.#switchTo(id);
    const lines = [
      'exporting to image',
      `writing image ${imageId} done`,
      ...tags.map((tag) => `naming to ${tag} done`),
      'DONE 0.0s',
    ];
    this.#write(lines.map((line) => `#${id} ${line}\n`).join(''));
  }

  /** A blank line between steps; one that goes on later ends with dots. */
  #switchTo(id: number): void {
    if (this.#current === id) return;
    if (this.#current !== null) {
      if (this.#running.has(this.#current)) this.#write(`#${this.#current} ...\n`);
      this.#write('\n');
    }
    this.#current = id;
  }

  #write(text: string): void {
    if (text !== '') this.#out.write(text);
  }
}
