import type { ErrorCode } from './codes.ts';
import type { Span } from './span.ts';

/** A further place or fact that explains an error. */
export interface ErrorNote {
  readonly message: string;
  readonly at?: Span;
}

export interface ErrorDetails {
  /** What went wrong, as one sentence without a final full stop. */
  readonly message: string;
  /** Where in the user's source. */
  readonly at?: Span;
  /** Why: other places and facts, in the order in which they are shown. */
  readonly notes?: readonly ErrorNote[];
  /** What to do next. */
  readonly help?: string;
  readonly cause?: unknown;
  /** Exit code for the command line when it is not the default 1 (2 = usage). */
  readonly exitCode?: number;
}

/**
 * The one error class that users meet. `code` is stable, listed in docs/errors.md and never reused;
 * tests match the code, not the prose. Broken invariants are plain `Error`s (assertions).
 */
export class CairnError extends Error {
  readonly code: ErrorCode;
  readonly at: Span | undefined;
  readonly notes: readonly ErrorNote[];
  readonly help: string | undefined;
  readonly exitCode: number;

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(details.message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'CairnError';
    this.code = code;
    this.at = details.at;
    this.notes = details.notes ?? [];
    this.help = details.help;
    this.exitCode = details.exitCode ?? 1;
  }
}

/** True for a `CairnError` with that code. */
export function hasCode(error: unknown, code: ErrorCode): error is CairnError {
  return error instanceof CairnError && error.code === code;
}
