import type { FlagSpec, FlagValues } from './flags/index.ts';
import type { Host } from './host.ts';

/** What a verb is given. */
export interface Invocation {
  readonly host: Host;
  readonly flags: FlagValues;
  readonly args: readonly string[];
  /** As the user wrote it: `image ls`. */
  readonly verb: string;
}

/** One verb: what it accepts, what it says about itself, what it does. */
export interface Command {
  /** What follows the verb: `[OPTIONS] IMAGE [IMAGE...]`. */
  readonly usage: string;
  /** One line, as in the list of commands. */
  readonly summary: string;
  readonly flags: readonly FlagSpec[];
  readonly args: { readonly min: number; readonly max: number };
  /** False when flags end at the first argument (`run`). */
  readonly interspersed?: boolean;
  /** Exit code of a wrong command line: 2, but 125 for `run`. */
  readonly usageExitCode?: number;
  /** @returns the exit code */
  readonly run: (invocation: Invocation) => Promise<number> | number;
}

/** A command line that the verb refuses after its flags were parsed; shown with the usage line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
