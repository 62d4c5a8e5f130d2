/** Where an instruction stands in its build. */
export interface StepPosition {
  /** Number among the steps that the user sees; null for an instruction that is not shown. */
  readonly id: number | null;
  readonly place: string;
  readonly skipCache: boolean;
}
