import { CairnError, type Span } from '../errors/index.ts';

/** Bytes that one physical line may have, its line feed not counted (BuildKit's scanner buffer). */
const maxLineBytes = 65_535;

/** A Dockerfile's text, cut into physical lines, able to say where an offset lies. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  /** Offset of the first character of each line; a last line without characters is not one. */
  readonly lineStarts: readonly number[];

  /**
   * @param content - UTF-8 bytes (broken sequences become U+FFFD) or text; a byte order mark at its start is dropped.
   * @throws {CairnError} DOCKERFILE_LINE_TOO_LONG
   */
  constructor(content: string | Uint8Array, file: string) {
    const text =
      typeof content === 'string' ? content : new TextDecoder('utf-8', { ignoreBOM: true }).decode(content);
    this.file = file;
    this.text = text.startsWith('\ufeff') ? text.slice(1) : text;
    this.lineStarts = lineStartsOf(this.text);
    for (let line = 1; line <= this.lineCount; line += 1) this.checkLength(line);
  }

  get lineCount(): number {
    return this.lineStarts.length;
  }

  /** Offset of the first character of a line (counted from 1); the end of the text for the line after the last. */
  startOf(line: number): number {
    return this.lineStarts[line - 1] ?? this.text.length;
  }

  /** A line without its line end. */
  line(line: number): string {
    const start = this.startOf(line);
    return this.text.slice(start, this.endOf(line));
  }

  /** A line with its line end. */
  rawLine(line: number): string {
    return this.text.slice(this.startOf(line), this.startOf(line + 1));
  }

  /** The span from one place to another (columns from 1, the end is exclusive), at least one character long. */
  span(line: number, column: number, endLine: number, endColumn: number): Span {
    const lastOnLine = endLine === line ? endColumn : this.line(line).length + 1;
    const text = this.text.slice(this.startOf(line), this.endOf(endLine));
    return {
      file: this.file,
      line,
      column,
      length: Math.max(1, lastOnLine - column),
      endLine,
      source: endLine > line ? text.replace(/\r+(?=\n)/g, '') : text,
    };
  }

  /** The span of a whole line, outer blanks left out. */
  lineSpan(line: number): Span {
    const text = this.line(line);
    const start = text.length - text.trimStart().length;
    return this.span(line, Math.min(start, text.length) + 1, line, text.trimEnd().length + 1);
  }

  private endOf(line: number): number {
    const start = this.startOf(line);
    let end = this.startOf(line + 1);
    while (end > start && isLineEnd(this.text.charCodeAt(end - 1))) end -= 1;
    return end;
  }

  private checkLength(line: number): void {
    const start = this.startOf(line);
    const end = this.startOf(line + 1);
    if ((end - start) * 3 <= maxLineBytes) return;
    const text = this.text.slice(start, end);
    const sizeBytes = Buffer.byteLength(text.endsWith('\n') ? text.slice(0, -1) : text);
    if (sizeBytes <= maxLineBytes) return;
    throw new CairnError('DOCKERFILE_LINE_TOO_LONG', {
      message: `this line has ${sizeBytes} bytes; a Dockerfile's line may have ${maxLineBytes}`,
      at: this.span(line, 1, line, 2),
      help: 'break it with a line continuation, or move the content to a file of the build context',
    });
  }
}

function lineStartsOf(text: string): number[] {
  const starts: number[] = [];
  for (let at = 0; at < text.length; ) {
    starts.push(at);
    const end = text.indexOf('\n', at);
    at = end < 0 ? text.length : end + 1;
  }
  return starts;
}

function isLineEnd(code: number): boolean {
  return code === 10 || code === 13;
}
