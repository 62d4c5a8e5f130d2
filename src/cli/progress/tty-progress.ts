import { Listr, ListrLogger, type ListrTask, ProcessOutput } from 'listr2';
import type { BuildEvent, BuildStep } from '../../builder/index.ts';
import { hasCode, printable } from '../../errors/index.ts';
import { ellipsis } from '../format/display-width.ts';
import type { OutputStream } from '../host.ts';
import { failureFrame } from './failure-frame.ts';
import { type Progress, seconds, stepTitle } from './progress.ts';
import { StepLog } from './step-log.ts';

/** Last lines of a running RUN's output that are shown below it. */
const shownLines = 6;
/** Rows that the display leaves free: output lines, the shell's prompt. */
const spareRows = shownLines + 4;
/** How often elapsed times move. */
const tickMs = 100;

const spinner = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
const waitingMark = ' ';
const outputMark = '  │';

type Outcome = 'waiting' | 'running' | 'done' | 'cached' | 'failed' | 'cancelled';

/** One step, as the display knows it. */
interface ShownStep {
  readonly step: BuildStep;
  readonly log: StepLog;
  outcome: Outcome;
  startedAt: number;
  elapsedMs: number;
  note: string | undefined;
}

/** A line of the display: one step, or in a long plan a whole stage. */
interface Row {
  readonly steps: readonly ShownStep[];
  readonly settled: Promise<void>;
  readonly settle: (error?: Error) => void;
  render: () => void;
}

/** Redraws a list of steps in place with listr2, which this module loads. */
export class TtyProgress implements Progress {
  readonly #out: OutputStream;
  readonly #now: () => number;
  #steps: ReadonlyMap<number, ShownStep> = new Map();
  #rows: readonly Row[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #ticker: NodeJS.Timeout | undefined;
  #failed: ShownStep | null = null;
  readonly #closing: string[] = [];

  constructor(out: OutputStream, now: () => number) {
    this.#out = out;
    this.#now = now;
  }

  readonly onEvent = (event: BuildEvent): void => {
    if (event.type === 'plan') this.#begin(event.steps);
    else if (event.type === 'export') this.#exported(event.imageId, event.tags);
    else if (event.type !== 'warning') {
      const shown = this.#steps.get(event.id);
      if (shown) this.#update(shown, event);
    }
  };

  readonly finish = async (failed: boolean): Promise<void> => {
    for (const shown of this.#steps.values())
      if (shown.outcome === 'running' || shown.outcome === 'waiting') shown.outcome = 'cancelled';
    for (const row of this.#rows) row.settle(row.steps.some(isFailed) ? new Error('failed') : undefined);
    await this.#running;
    clearInterval(this.#ticker);
    for (const text of this.#closing) this.#out.write(text);
    if (!failed || !this.#failed) return;
    this.#failed.log.end();
    const frame = failureFrame(this.#failed.step, this.#failed.log.lines());
    if (frame !== '') this.#out.write(frame);
  };

  #begin(steps: readonly BuildStep[]): void {
    const shown = steps.map(
      (step): ShownStep => ({
        step,
        log: new StepLog(),
        outcome: 'waiting',
        startedAt: 0,
        elapsedMs: 0,
        note: undefined,
      }),
    );
    this.#steps = new Map(shown.map((each) => [each.step.id, each]));
    if (shown.length === 0) return;
    const stream = this.#out.stream();
    const fits = shown.length + spareRows <= (stream.rows || 24);
    this.#rows = fits ? shown.map((each) => newRow([each])) : byStage(shown).map(newRow);
    const list = new Listr(
      this.#rows.map((row) => this.#task(row)),
      {
        concurrent: true,
        exitOnError: false,
        registerSignalListeners: false,
        forceTTY: true,
        rendererOptions: {
          formatOutput: 'truncate',
          showErrorMessage: false,
          showSkipMessage: false,
          // Every task of the list is "started": which step runs, waits or ends is told by its own mark.
          lazy: true,
          icon: { PENDING: '' },
          logger: new ListrLogger({
            processOutput: new ProcessOutput(stream, stream, { leaveEmptyLine: false }),
            useIcons: true,
          }),
        },
      },
    );
    this.#running = list.run();
    this.#ticker = setInterval(() => {
      for (const row of this.#rows) if (row.steps.some((each) => each.outcome === 'running')) row.render();
    }, tickMs);
  }

  #task(row: Row): ListrTask {
    return {
      title: this.#title(row),
      rendererOptions: { outputBar: false },
      task: async (_, task) => {
        row.render = () => {
          task.title = this.#runningTitle(row);
        };
        row.render();
        await row.settled;
        task.title = this.#title(row);
        if (row.steps.every((each) => each.outcome === 'cancelled')) task.skip(task.title);
      },
    };
  }

  #update(shown: ShownStep, event: Extract<BuildEvent, { readonly id: number }>): void {
    const row = this.#rows.find((candidate) => candidate.steps.includes(shown));
    switch (event.type) {
      case 'step-start':
        shown.outcome = 'running';
        shown.startedAt = event.at;
        break;
      case 'step-output':
        shown.log.push(event.stream, event.chunk);
        return;
      case 'step-end':
        shown.outcome = event.cached ? 'cached' : 'done';
        shown.elapsedMs = event.at - shown.startedAt;
        shown.note = event.note;
        break;
      case 'step-error':
        // What another step's failure stopped is no failure of its own.
        shown.outcome = this.#failed || hasCode(event.error, 'ABORTED') ? 'cancelled' : 'failed';
        shown.elapsedMs = event.at - shown.startedAt;
        if (shown.outcome === 'failed') this.#failed = shown;
    }
    if (!row) return;
    row.render();
    if (isFailed(shown)) row.settle(new Error('failed'));
    else if (isSettled(row)) row.settle();
  }

  #exported(imageId: string, tags: readonly string[]): void {
    this.#closing.push(`image ${imageId}\n`, ...tags.map((tag) => `named ${printable(tag)}\n`));
  }

  #title(row: Row): string {
    const columns = this.#out.columns - 4;
    const shown = currentStep(row);
    const mark = this.#mark(shown);
    return `${ellipsis(stepTitle(shown.step), columns - mark.length - 1)} ${mark}`.trimEnd();
  }

  #mark(shown: ShownStep): string {
    switch (shown.outcome) {
      case 'waiting':
        return '';
      case 'running':
        return seconds(this.#now() - shown.startedAt);
      case 'cached':
        return `CACHED${noteMark(shown.note)}`;
      case 'failed':
        return `ERROR ${seconds(shown.elapsedMs)}`;
      case 'cancelled':
        return shown.startedAt > 0 ? 'CANCELED' : '';
      default:
        return seconds(shown.elapsedMs) + noteMark(shown.note);
    }
  }

  /** Lines below each running step, so that all of them fit on the screen. */
  #tailLines(): number {
    const running = this.#rows.filter((row) => currentStep(row).outcome === 'running').length;
    const free = (this.#out.stream().rows || 24) - this.#rows.length - 2;
    return Math.max(0, Math.min(shownLines, Math.floor(free / Math.max(running, 1))));
  }

  /** While anything of the row is open: a mark of its own, and the last lines of output. */
  #runningTitle(row: Row): string {
    const shown = currentStep(row);
    if (isSettled(row)) return this.#title(row);
    if (shown.outcome !== 'running') return `${waitingMark} ${this.#title(row)}`;
    const spin = spinner[Math.floor(this.#now() / tickMs) % spinner.length];
    return [
      `${spin} ${this.#title(row)}`,
      ...shown.log.tail(this.#tailLines()).map((line) => `${outputMark} ${line}`),
    ].join('\n');
  }
}

/** Why it was not cached, or where the result comes from, as far as there is room. */
function noteMark(note: string | undefined): string {
  return note ? ` (${ellipsis(note, 40)})` : '';
}

function isSettled(row: Row): boolean {
  return (
    row.steps.some(isFailed) ||
    !row.steps.some(({ outcome }) => outcome === 'waiting' || outcome === 'running')
  );
}

function isFailed(shown: ShownStep): boolean {
  return shown.outcome === 'failed';
}

/** What a row is about now: the step that failed or runs, else the last one that ended, else the first. */
function currentStep(row: Row): ShownStep {
  const [first] = row.steps;
  const current =
    row.steps.find(isFailed) ??
    row.steps.find((shown) => shown.outcome === 'running') ??
    row.steps.findLast((shown) => shown.outcome === 'done' || shown.outcome === 'cached') ??
    first;
  if (!current) throw new Error('a row of the display has no step');
  return current;
}

function byStage(shown: readonly ShownStep[]): readonly (readonly ShownStep[])[] {
  return [...new Set(shown.map(({ step }) => step.stage))].map((stage) =>
    shown.filter(({ step }) => step.stage === stage),
  );
}

function newRow(steps: readonly ShownStep[]): Row {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const settled = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  settled.catch(() => {});
  return { steps, settled, settle: (error) => (error ? reject(error) : resolve()), render: () => {} };
}
