import type { GoValue } from './value.ts';

/** Parts of a parsed template. `text` is how Go prints the node in messages; `offset` is where it starts. */
export type Operand = { readonly offset: number; readonly text: string } & (
  | { readonly kind: 'dot' }
  | { readonly kind: 'nil' }
  | { readonly kind: 'constant'; readonly value: GoValue }
  | { readonly kind: 'field'; readonly names: readonly string[] }
  | { readonly kind: 'variable'; readonly name: string; readonly names: readonly string[] }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipe'; readonly pipe: Pipe }
  /** A parenthesised pipeline with fields: `(index .X 0).Y`. */
  | { readonly kind: 'chain'; readonly pipe: Pipe; readonly names: readonly string[] }
);

/** An operand with its arguments. */
export interface Command {
  readonly offset: number;
  readonly text: string;
  readonly operands: readonly [Operand, ...Operand[]];
}

/** Commands joined by `|`, whose result may be declared as or assigned to variables. */
export interface Pipe {
  readonly offset: number;
  readonly text: string;
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipe: Pipe }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: 'break' | 'continue' };
