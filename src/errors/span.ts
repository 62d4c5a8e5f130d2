/**
 * A place in a source text. Lines and columns count from 1, columns in UTF-16 code units of the line;
 * `length` is the number of code units that the caret line underlines (at least 1).
 */
export interface Span {
  /** Name shown to the user: the path as given on the command line. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
  /** Last line of the marked text; equals `line` for a place on one line. */
  readonly endLine: number;
  /** The physical line(s) from `line` to `endLine`, without line ends: what a message shows. */
  readonly source: string;
}
