import type { StepSite } from '../explain/nearest-record.ts';

/** Where an instruction stands in its build. */
export interface StepPosition {
  /** Number among the steps that the user sees; null for an instruction that is not shown. */
  readonly id: number | null;
  /** The instruction as people see it: `RUN make`. */
  readonly name: string;
  readonly site: StepSite;
  /** Results are not looked for. */
  readonly skipCache: boolean;
  /** The option that says so. */
  readonly skipReason?: string;
}
