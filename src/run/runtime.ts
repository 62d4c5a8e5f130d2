import type { SandboxKind, SandboxSpec } from './contracts.ts';
import type { StepFolders } from './step-folders.ts';

/** One command about to run. */
export interface Step {
  readonly spec: SandboxSpec;
  readonly folders: StepFolders;
  /** Absolute path of the program inside the root file system (`findExecutable`). */
  readonly program: string;
}

/** What a runtime says about a command that did not start. */
export type StartProblem =
  /** The command's own fault. */
  | { readonly kind: 'command'; readonly exitCode: 126 | 127; readonly message: string }
  /** The runtime's, or the machine's. */
  | { readonly kind: 'runtime'; readonly message: string };

/** What the supervisor is to run. */
export interface PreparedCommand {
  /** argv, an absolute host path first. */
  readonly argv: readonly string[];
  /** argv of a program that becomes the supervisor (it gets the rest as arguments), for namespaces of its own. */
  readonly around: readonly string[];
  /**
   * Who takes part in the conversation on file descriptor 3 before the command starts: it writes one line when its life
   * hangs on this process's, and waits for the line `go`.
   */
  readonly listener: 'supervisor' | 'init';
  /** Where a terminal for the command is to be had, when it needs one. */
  readonly devpts: string;
}

/** How one kind of sandbox starts a command below the supervisor. */
export interface Runtime {
  readonly kind: SandboxKind;
  /**
   * Called inside the step's namespaces with the root file system assembled, before the supervisor is started.
   */
  prepare(step: Step): PreparedCommand;
  /** True for the command line of a process that is about to become the command, but still the runtime's. */
  isRuntime(step: Step, commandLine: readonly string[]): boolean;
  /** The line that lets the command start. */
  go(step: Step): string;
  /**
   * Why the command did not start.
   * @param said - what came through file descriptor 3 after `go`.
   * @returns null when it did start, `exitCode` being its own.
   */
  problem(step: Step, exitCode: number, said: string): StartProblem | null;
}
