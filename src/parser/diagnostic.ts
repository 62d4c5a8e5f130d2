import type { Span } from '../errors/index.ts';

/** A finding of a build check: advice, never an error by itself. */
export interface Diagnostic {
  /** BuildKit's rule name, such as `StageNameCasing`. */
  readonly rule: string;
  readonly message: string;
  /** What the rule is about, in general. */
  readonly description: string;
  /** The instruction (as BuildKit places it). */
  readonly span: Span;
  /** The word in it that the finding is about, where there is one. */
  readonly place?: Span;
  /** BuildKit's page about the rule; absent for a rule that has none. */
  readonly url?: string;
}
