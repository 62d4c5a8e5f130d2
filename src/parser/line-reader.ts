import { CairnError, type Span } from '../errors/index.ts';
import { type DirectiveLine, DirectiveScanner } from './directives.ts';
import type { EscapeCharacter } from './instruction.ts';
import { LogicalLine, type Segment } from './logical-line.ts';
import type { SourceText } from './source-text.ts';
import { skipSpace, trimSpace } from './space.ts';

/**
 * Joined characters one instruction may have. Far above what an instruction can use (Linux takes 128 KiB as one
 * argument), and low enough for the lexer's regular expressions to stay within V8's backtracking stack.
 */
const maxInstructionLength = 2 * 1024 * 1024;

/** Turns physical lines into logical ones: directives, comments and continuations are dealt with here. */
export class LineReader {
  /** Blank lines inside continuations, as BuildKit places them: at the instruction's last line. */
  readonly emptyContinuations: Span[] = [];
  readonly directives: DirectiveLine[] = [];
  escape: EscapeCharacter = '\\';
  private readonly source: SourceText;
  private readonly scanner = new DirectiveScanner('#');
  private next = 1;
  private comments: string[] = [];

  constructor(source: SourceText, escapeCharacter: EscapeCharacter = '\\') {
    this.source = source;
    this.escape = escapeCharacter;
  }

  /** The number of the last line that was read. */
  get lastLine(): number {
    return this.next - 1;
  }

  /** The next instruction's text, or undefined at the end of the file. */
  readInstruction(): LogicalLine | undefined {
    while (this.next <= this.source.lineCount) {
      const line = this.readLine();
      if (this.isDirective(line)) continue;
      const text = this.source.line(line);
      const start = skipSpace(text);
      if (text.charAt(start) === '#') this.addComment(text.slice(start + 1));
      else if (start < text.length) return this.joinContinuations(line, text, start);
    }
    return undefined;
  }

  /**
   * Reads a heredoc's body and the delimiter's line.
   * @returns the body with its line ends, or undefined when the file ends before the delimiter.
   */
  readHeredoc(name: string, chomp: boolean): { body: string; bodyLine: number } | undefined {
    const bodyLine = this.next;
    while (this.next <= this.source.lineCount) {
      const line = this.readLine();
      const text = this.source.line(line);
      if ((chomp ? text.replace(/^\t+/, '') : text) !== name) continue;
      return {
        body: this.source.text.slice(this.source.startOf(bodyLine), this.source.startOf(line)),
        bodyLine,
      };
    }
    return undefined;
  }

  private readLine(): number {
    this.next += 1;
    return this.next - 1;
  }

  private isDirective(line: number): boolean {
    const directive = this.scanner.read(this.source, line);
    if (directive === undefined) return false;
    this.directives.push(directive);
    if (directive.name === 'escape') this.escape = escapeOf(directive);
    return true;
  }

  /** An empty comment line separates what is above it from the instruction below. */
  private addComment(text: string): void {
    const comment = trimSpace(text);
    if (comment === '') this.comments = [];
    else this.comments.push(comment);
  }

  private joinContinuations(line: number, text: string, start: number): LogicalLine {
    const pieces: string[] = [];
    const segments: Segment[] = [];
    let length = 0;
    const add = (from: number, piece: string, column: number): void => {
      if (piece === '' && segments.length > 0) return;
      segments.push({ offset: length, line: from, column });
      pieces.push(piece);
      length += piece.length;
      if (length > maxInstructionLength)
        throw tooLong(this.source.span(line, start + 1, line, text.length + 1));
    };
    let cut = continuationOf(text, this.escape, start);
    add(line, text.slice(start, cut ?? text.length), start + 1);
    let hasEmptyLine = false;
    while (cut !== undefined && this.next <= this.source.lineCount) {
      const more = this.readLine();
      const moreText = this.source.line(more);
      const first = skipSpace(moreText);
      if (moreText.charAt(first) === '#') continue;
      if (first === moreText.length) {
        hasEmptyLine = true;
        continue;
      }
      cut = continuationOf(moreText, this.escape, 0);
      add(more, moreText.slice(0, cut ?? moreText.length), 1);
    }
    if (hasEmptyLine) this.emptyContinuations.push(this.source.lineSpan(this.lastLine));
    const comments = this.comments;
    this.comments = [];
    return new LogicalLine(this.source, { text: pieces.join(''), segments, comments });
  }
}

/**
 * Where a line must be cut because it ends in a continuation: the escape character as the last one that is no blank
 * or tab, unless a second one stands right before it (of three, BuildKit takes the line as complete, too).
 */
function continuationOf(text: string, escapeCharacter: EscapeCharacter, start: number): number | undefined {
  let end = text.length;
  while (end > start && (text.charAt(end - 1) === ' ' || text.charAt(end - 1) === '\t')) end -= 1;
  if (end === start || text.charAt(end - 1) !== escapeCharacter) return undefined;
  return end - 1 > start && text.charAt(end - 2) === escapeCharacter ? undefined : end - 1;
}

function escapeOf(directive: DirectiveLine): EscapeCharacter {
  const { text, span } = directive.value;
  if (text === '\\' || text === '`') return text;
  throw new CairnError('DIRECTIVE_INVALID', {
    message: `the escape character can be \\ or \`, not "${text}"`,
    at: span,
    help: 'write "# escape=`" or remove the directive (the default is \\)',
  });
}

function tooLong(at: Span): CairnError {
  return new CairnError('DOCKERFILE_LINE_TOO_LONG', {
    message: `this instruction has more than ${maxInstructionLength} characters`,
    at,
    help: 'move the content to a file of the build context, or use a heredoc',
  });
}
