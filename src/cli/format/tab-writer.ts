export interface TabWriterOptions {
  /** Least width of a cell, padding included; 10 by default. */
  readonly minWidth?: number;
  /** Blanks after the widest text of a column; 3 by default. */
  readonly padding?: number;
}

/**
 * Aligns tab-terminated cells as Go's text/tabwriter does (blanks for padding, no tabs). A column is a run of
 * adjacent lines that have a cell there; the text after a line's last tab is not part of any column.
 */
export function alignColumns(text: string, options: TabWriterOptions = {}): string {
  const { minWidth = 10, padding = 3 } = options;
  const lines = text.split('\n').map((line) => line.split('\t'));
  const widths = lines.map((cells) => new Array<number>(cells.length - 1).fill(0));
  layOut(lines, widths, 0, lines.length, 0, minWidth, padding);
  return lines
    .map((cells, row) => cells.map((cell, column) => padCell(cell, widths[row]?.[column])).join(''))
    .join('\n');
}

function padCell(cell: string, width: number | undefined): string {
  return width === undefined ? cell : cell + ' '.repeat(Math.max(width - runeCount(cell), 0));
}

/** Go counts runes, not columns: so do we, so that tables with wide characters come out as Docker's. */
function runeCount(text: string): number {
  return /^[\x00-\x7f]*$/.test(text) ? text.length : [...text].length;
}

function layOut(
  lines: readonly (readonly string[])[],
  widths: readonly number[][],
  from: number,
  to: number,
  column: number,
  minWidth: number,
  padding: number,
): void {
  const hasCell = (row: number): boolean => (widths[row]?.length ?? 0) > column;
  for (let row = from; row < to; row++) {
    if (!hasCell(row)) continue;
    let end = row;
    let width = minWidth;
    for (; end < to && hasCell(end); end++) {
      const cell = lines[end]?.[column] ?? '';
      width = Math.max(width, runeCount(cell) + padding);
    }
    for (let line = row; line < end; line++) (widths[line] as number[])[column] = width;
    layOut(lines, widths, row, end, column + 1, minWidth, padding);
    row = end - 1;
  }
}
