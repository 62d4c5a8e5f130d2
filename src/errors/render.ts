import type { CairnError, ErrorNote } from './cairn-error.ts';
import { layOut, printable, sliceColumns } from './display-text.ts';
import type { Span } from './span.ts';

export interface RenderOptions {
  /** ANSI colours. Default: none. */
  readonly color?: boolean;
}

/** Columns of source that are shown of a line; of a longer one, those around the marked text. */
const maxColumns = 110;
/** Lines that are shown of a marked text of many lines. */
const maxLines = 8;

/**
 * An error as users see it: what, where (the source with the place underlined), why, what to do. Ends with a line
 * end. Text that is not ours is made harmless for a terminal.
 */
export function renderError(error: CairnError, options: RenderOptions = {}): string {
  return render({ ...error, title: `error[${error.code}]`, message: error.message }, 'red', options);
}

/** What a warning has to show. */
export interface WarningDetails {
  /** The name of the check. */
  readonly rule: string;
  readonly message: string;
  readonly span?: Span;
  readonly help?: string;
}

/** A warning in the form of an error. */
export function renderWarning(warning: WarningDetails, options: RenderOptions = {}): string {
  const { rule, message, span: at, help } = warning;
  return render({ title: `warning[${rule}]`, message, at, notes: [], help }, 'yellow', options);
}

interface Report {
  readonly title: string;
  readonly message: string;
  readonly at?: Span | undefined;
  readonly notes: readonly ErrorNote[];
  readonly help?: string | undefined;
}

type Paint = (text: string, style: keyof typeof ansi) => string;
const ansi = { red: '1;31', yellow: '1;33', blue: '1;34', cyan: '1;36', bold: '1' } as const;

function render(report: Report, severity: 'red' | 'yellow', { color = false }: RenderOptions): string {
  const paint: Paint = (text, style) => (color && text !== '' ? `\x1b[${ansi[style]}m${text}\x1b[0m` : text);
  const lines = [`${paint(report.title, severity)}${paint(`: ${prose(report.message)}`, 'bold')}`];
  if (report.at !== undefined) lines.push(...renderPlace(report.at, severity, paint));
  for (const note of report.notes) lines.push(`${paint('note:', 'blue')} ${prose(noteText(note))}`);
  if (report.help !== undefined) lines.push(`${paint('help:', 'cyan')} ${prose(report.help)}`);
  return `${lines.join('\n')}\n`;
}

/** Further lines of a message are indented, so that text from outside cannot pose as a line of its own. */
function prose(text: string): string {
  return printable(text).replace(/\t/g, ' ').replace(/\n/g, '\n  ');
}

function noteText({ message, at }: ErrorNote): string {
  if (at === undefined) return message;
  const marked = at.source.split('\n')[0]!.slice(at.column - 1, at.column - 1 + at.length);
  const quoted = marked.length > 40 ? `${marked.slice(0, 37)}...` : marked;
  return `${at.file}:${at.line} "${quoted}": ${message}`;
}

function renderPlace(span: Span, severity: 'red' | 'yellow', paint: Paint): string[] {
  const source = span.source.split('\n');
  const shown = source.slice(0, maxLines);
  const width = String(span.line + shown.length - 1).length;
  const margin = ' '.repeat(width + 1);
  const lines = [`${margin}${paint('-->', 'blue')} ${printable(span.file)}:${span.line}:${span.column}`];
  if (span.source === '' && span.line === 1 && span.endLine === 1) return lines;
  for (const [index, text] of shown.entries()) {
    const gutter = paint(` ${String(span.line + index).padStart(width)} |`, 'blue');
    const { source: part, carets } = window(text, index === 0 ? span : undefined);
    lines.push(`${gutter} ${part}`.trimEnd());
    if (index === 0)
      lines.push(`${paint(`${margin} |`, 'blue')} ${carets.indent}${paint(carets.marks, severity)}`);
  }
  if (source.length > shown.length) lines.push(`${paint(`${margin} |`, 'blue')} ...`);
  return lines;
}

/** The part of a line that fits, and the carets under its marked text. */
function window(
  text: string,
  span: Span | undefined,
): { source: string; carets: { indent: string; marks: string } } {
  const line = layOut(text);
  const end = line.columns.at(-1)!;
  const start = Math.min(span === undefined ? 0 : span.column - 1, text.length);
  const markFrom = line.columns[start]!;
  const markTo = Math.max(markFrom + 1, line.columns[Math.min(start + (span?.length ?? 0), text.length)]!);
  // Some context stays to the left of the marked text when the line must be cut there.
  const from =
    end <= maxColumns || markTo <= maxColumns ? 0 : Math.max(0, Math.min(markFrom - 20, end - maxColumns));
  const to = Math.min(end, from + maxColumns);
  const before = from > 0 ? '...' : '';
  return {
    source: `${before}${sliceColumns(line.text, from, to)}${to < end ? '...' : ''}`,
    carets: {
      indent: ' '.repeat(before.length + markFrom - from),
      marks: '^'.repeat(Math.max(1, Math.min(markTo, Math.max(to, markFrom + 1)) - markFrom)),
    },
  };
}
