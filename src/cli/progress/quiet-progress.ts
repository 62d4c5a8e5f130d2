import type { BuildEvent, BuildStep } from '../../builder/index.ts';
import type { OutputStream } from '../host.ts';
import { failureFrame } from './failure-frame.ts';
import type { Progress } from './progress.ts';
import { StepLog } from './step-log.ts';

/** Says nothing, unless a step fails: then its whole log. */
export class QuietProgress implements Progress {
  readonly #out: OutputStream;
  #steps: ReadonlyMap<number, BuildStep> = new Map();
  readonly #logs = new Map<number, StepLog>();
  #failed: number | null = null;

  constructor(out: OutputStream) {
    this.#out = out;
  }

  readonly onEvent = (event: BuildEvent): void => {
    if (event.type === 'plan') this.#steps = new Map(event.steps.map((step) => [step.id, step]));
    else if (event.type === 'step-start') this.#logs.set(event.id, new StepLog());
    else if (event.type === 'step-output') this.#logs.get(event.id)?.push(event.stream, event.chunk);
    else if (event.type === 'step-end') this.#logs.delete(event.id);
    else if (event.type === 'step-error') this.#failed ??= event.id;
  };

  readonly finish = async (failed: boolean): Promise<void> => {
    if (!failed || this.#failed === null) return;
    const [step, log] = [this.#steps.get(this.#failed), this.#logs.get(this.#failed)];
    if (!step || !log) return;
    log.end();
    const frame = failureFrame(step, log.lines());
    if (frame !== '') this.#out.write(frame);
  };
}
