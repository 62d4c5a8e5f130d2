import type { CairnError, Span } from '../errors/index.ts';
import type { Diagnostic } from './diagnostic.ts';

/**
 * A word as the Dockerfile has it: not expanded, its quotes and escapes kept for `expandWord`. Exceptions, where the
 * syntax itself removes a level of quoting first: elements of a JSON array are decoded, flag values are unquoted.
 */
export interface Word {
  readonly text: string;
  readonly span: Span;
}

/** What every instruction carries. */
export interface InstructionBase {
  /** The whole instruction, heredoc bodies included. */
  readonly span: Span;
  /** The keyword as written (`run`, `RUN`, `Run`). */
  readonly keyword: string;
  /** The instruction's own text with continuations joined, trimmed, without heredoc bodies: for history and progress. */
  readonly source: string;
  /** `source` with the blanks at its end, which ONBUILD keeps. */
  readonly untrimmed: string;
  /** Comment lines right above, without `#` and outer blanks; an empty comment line clears what stood before it. */
  readonly comments: readonly string[];
  /** The flags as written (`--from=build`), quotes and escapes removed. */
  readonly flags: readonly Word[];
  /** Heredocs in the order of their words, for the instructions that take them; else empty. */
  readonly heredocs: readonly Heredoc[];
}

/** `<<NAME` and the lines below it. */
export interface Heredoc {
  /** Delimiter with quotes removed; for COPY and ADD the name of the file. */
  readonly name: string;
  /** The body as the instruction sees it: line ends kept, leading tabs removed when `chomp`. Not expanded. */
  readonly body: string;
  /** The body exactly as written. */
  readonly rawBody: string;
  /** The body of a COPY or ADD is to be expanded with `expandHeredoc` (no part of the delimiter was quoted). */
  readonly expand: boolean;
  /** Written as `<<-`. */
  readonly chomp: boolean;
  /** The number before `<<`; 0 when none was written. */
  readonly fd: number;
  /** The heredoc word on the instruction's line. */
  readonly word: Word;
  /** Line number of the first line of the body. */
  readonly bodyLine: number;
}

/** `["a", "b"]`: the arguments as they are, no shell. */
export interface ExecForm {
  readonly form: 'exec';
  readonly argv: readonly string[];
  readonly span: Span;
}

/** Text for the stage's shell, appended to SHELL as one argument, verbatim. */
export interface ShellForm {
  readonly form: 'shell';
  readonly text: string;
  readonly span: Span;
}

export type Command = ExecForm | ShellForm;

export interface FromInstruction extends InstructionBase {
  readonly kind: 'from';
  /** Image or stage name, not expanded. */
  readonly image: Word;
  readonly platform?: Word;
  /** The stage name as written. */
  readonly alias?: Word;
  /** The word `AS` as written. */
  readonly as?: Word;
}

export interface RunInstruction extends InstructionBase {
  readonly kind: 'run';
  /**
   * What to run. Heredocs are worked in: a lone heredoc is its body, a command line with heredocs is the line, the
   * bodies and the delimiters put together again for the shell.
   */
  readonly command: Command;
  /** A lone heredoc that starts with `#!`: the file that `command` names; to be provided read-only with mode 0755. */
  readonly script?: { readonly path: string; readonly body: string };
  /** Values of `--mount`, for `parseMount` with an expander. */
  readonly mounts: readonly Word[];
  readonly network?: 'default' | 'none' | 'host';
  readonly security?: 'sandbox' | 'insecure';
  readonly devices: readonly Device[];
}

/** `--device=name[,required]`, a CDI device. */
export interface Device {
  readonly name: string;
  readonly required: boolean;
  readonly word: Word;
}

/** What COPY and ADD share. Paths are expanded, `exclude` is not. Heredoc sources come after all paths. */
export interface CopyBase extends InstructionBase {
  readonly sources: readonly Word[];
  readonly destination: Word;
  /** Written as a JSON array. */
  readonly isJson: boolean;
  readonly chown?: Word;
  readonly chmod?: Word;
  readonly link: boolean;
  readonly exclude: readonly Word[];
}

export interface CopyInstruction extends CopyBase {
  readonly kind: 'copy';
  /** Stage name, index, named context or image; never expanded (a `$` in it was refused). */
  readonly from?: Word;
  readonly parents: boolean;
}

export interface AddInstruction extends CopyBase {
  readonly kind: 'add';
  readonly checksum?: Word;
  readonly keepGitDir?: boolean;
  readonly unpack?: boolean;
}

export interface CmdInstruction extends InstructionBase {
  readonly kind: 'cmd';
  readonly command: Command;
}

export interface EntrypointInstruction extends InstructionBase {
  readonly kind: 'entrypoint';
  readonly command: Command;
}

export interface ShellInstruction extends InstructionBase {
  readonly kind: 'shell';
  /** At least one element. */
  readonly argv: readonly string[];
}

export interface Pair {
  readonly key: Word;
  readonly value: Word;
  /** Written as `ENV key value`. */
  readonly legacy: boolean;
}

export interface EnvInstruction extends InstructionBase {
  readonly kind: 'env';
  readonly pairs: readonly Pair[];
}

export interface LabelInstruction extends InstructionBase {
  readonly kind: 'label';
  readonly pairs: readonly Pair[];
}

export interface ArgDeclaration {
  /** Never expanded. */
  readonly name: Word;
  /** The default; expanded only when no build argument replaces it. */
  readonly value?: Word;
  /** The rest of a comment line above that starts with the name. */
  readonly description?: string;
}

export interface ArgInstruction extends InstructionBase {
  readonly kind: 'arg';
  readonly args: readonly ArgDeclaration[];
}

export interface ExposeInstruction extends InstructionBase {
  readonly kind: 'expose';
  /** In byte order, as the image's history shows them; expanded with `expandWords`, then read by `parsePorts`. */
  readonly ports: readonly Word[];
}

export interface VolumeInstruction extends InstructionBase {
  readonly kind: 'volume';
  readonly paths: readonly Word[];
  /** Written as a JSON array. */
  readonly isJson: boolean;
}

export interface UserInstruction extends InstructionBase {
  readonly kind: 'user';
  readonly user: Word;
}

export interface WorkdirInstruction extends InstructionBase {
  readonly kind: 'workdir';
  readonly path: Word;
}

export interface StopsignalInstruction extends InstructionBase {
  readonly kind: 'stopsignal';
  /** Expanded, then checked with `parseSignal`. */
  readonly signal: Word;
}

export interface HealthcheckInstruction extends InstructionBase {
  readonly kind: 'healthcheck';
  /** `none` for HEALTHCHECK NONE. */
  readonly test: Command | 'none';
  /** Durations in nanoseconds; 0 when not given (inherit). */
  readonly intervalNs: number;
  readonly timeoutNs: number;
  readonly startPeriodNs: number;
  readonly startIntervalNs: number;
  readonly retries: number;
}

export interface OnbuildInstruction extends InstructionBase {
  readonly kind: 'onbuild';
  /** What goes into the image's OnBuild list: source text of the trigger with its heredocs. */
  readonly trigger: string;
  /** The trigger, parsed: what `parseInstruction(trigger)` will give when it fires. Absent when it will fail. */
  readonly instruction?: Instruction;
  /** Why the trigger will fail when it fires; BuildKit stores it all the same. */
  readonly problem?: CairnError;
}

export interface MaintainerInstruction extends InstructionBase {
  readonly kind: 'maintainer';
  readonly author: Word;
}

/** Everything that may stand in a stage after FROM. */
export type Instruction =
  | RunInstruction
  | CopyInstruction
  | AddInstruction
  | CmdInstruction
  | EntrypointInstruction
  | ShellInstruction
  | EnvInstruction
  | LabelInstruction
  | ArgInstruction
  | ExposeInstruction
  | VolumeInstruction
  | UserInstruction
  | WorkdirInstruction
  | StopsignalInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | MaintainerInstruction;

/** FROM and the instructions after it, up to the next FROM. */
export interface Stage {
  /** Counts from 0; what `COPY --from=0` names. */
  readonly index: number;
  /** Lower-cased; absent without `AS`. */
  readonly name?: string;
  /** The rest of a comment line above FROM that starts with the stage's name. */
  readonly description?: string;
  readonly from: FromInstruction;
  readonly instructions: readonly Instruction[];
}

export type EscapeCharacter = '\\' | '`';

/** The parser directives at the top of the file. */
export interface Directives {
  readonly escape: EscapeCharacter;
  /** `# syntax=`: the frontend's image name (up to the first blank). */
  readonly syntax?: Word;
  /** `# check=`, as written; read by `lint`. */
  readonly check?: Word;
}

export interface Dockerfile {
  readonly file: string;
  readonly directives: Directives;
  /** The ARGs before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  /** At least one. */
  readonly stages: readonly Stage[];
  /** What the text itself shows (empty continuation lines); the other checks are `lint`'s. */
  readonly warnings: readonly Diagnostic[];
}
