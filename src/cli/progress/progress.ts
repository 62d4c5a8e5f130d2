import type { BuildEvent, BuildStep } from '../../builder/index.ts';

/** Shows a build while it runs. Everything goes to stderr: stdout carries the result. */
export interface Progress {
  readonly onEvent: (event: BuildEvent) => void;
  /**
   * Ends the display, after the last event.
   * @param failed - the build ended with an error; the log of a failed step is shown to its end
   */
  readonly finish: (failed: boolean) => Promise<void>;
}

/** `[base 2/3] RUN make`, on one line; as in BuildKit, the only stage has no name. */
export function stepTitle(step: BuildStep): string {
  const place = `${step.stage === '' ? '' : `${step.stage} `}${step.index}/${step.total}`;
  return `[${place}] ${oneLine(step.name)}`;
}

/** An instruction on one line: continuation lines joined, blanks as they are, control characters gone. */
function oneLine(text: string): string {
  return text
    .replace(/\\[ \t]*\n/g, ' ')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/[\x00-\x1f\x7f]+/g, ' ')
    .trim();
}

/** Seconds with one digit, as BuildKit writes them: `0.1s`. */
export function seconds(milliseconds: number): string {
  return `${(Math.max(milliseconds, 0) / 1000).toFixed(1)}s`;
}

/** What an event's error says, on one line. */
export function errorLine(error: unknown): string {
  return oneLine(error instanceof Error ? error.message : String(error));
}
