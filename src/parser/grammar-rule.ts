/** One production, in the shape that nearley's `Grammar.fromCompiled` takes. */
export interface GrammarRule {
  readonly name: string;
  /** A rule's name, or a token's type. */
  readonly symbols: readonly (string | { readonly type: string })[];
  /** Gets the values of the symbols in order. */
  readonly postprocess?: (values: never) => unknown;
}
