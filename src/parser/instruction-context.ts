import { CairnError, type Span } from '../errors/index.ts';
import type { EscapeCharacter, Heredoc, InstructionBase, Word } from './instruction.ts';
import type { Token } from './lexer.ts';
import type { LogicalLine } from './logical-line.ts';
import type { CommandText, JsonArray, SyntaxNode, WordList } from './node.ts';
import { trimSpace } from './space.ts';

/** A node with what its meaning needs besides: where it stands, its heredocs, the escape character. */
export class InstructionContext {
  readonly node: SyntaxNode;
  readonly line: LogicalLine;
  readonly escape: EscapeCharacter;
  readonly heredocs: readonly Heredoc[];
  /** The flags with quotes and escapes removed. */
  readonly flags: readonly Word[];
  private readonly endLine: number;

  constructor(
    node: SyntaxNode,
    parts: { line: LogicalLine; escape: EscapeCharacter; heredocs: readonly Heredoc[]; endLine: number },
  ) {
    this.node = node;
    this.line = parts.line;
    this.escape = parts.escape;
    this.heredocs = parts.heredocs;
    this.endLine = parts.endLine;
    this.flags = node.flags.map((token) => ({
      text: unquoteFlag(token.value, parts.escape),
      span: this.spanOf(token),
    }));
  }

  get keyword(): string {
    return this.node.keyword.value;
  }

  /** The keyword and its arguments, without heredoc bodies. */
  get textSpan(): Span {
    const start = this.node.keyword.offset;
    return this.line.span(start, start + this.source.length);
  }

  get source(): string {
    return trimSpace(this.line.text.slice(this.node.keyword.offset));
  }

  /** The fields that all instructions share. */
  base(): InstructionBase {
    const start = this.textSpan;
    const { source } = this.line;
    const isLonger = this.endLine > start.endLine;
    return {
      span: isLonger
        ? source.span(start.line, start.column, this.endLine, source.line(this.endLine).length + 1)
        : start,
      keyword: this.keyword,
      source: this.source,
      untrimmed: this.line.text.slice(this.node.keyword.offset),
      comments: this.line.comments,
      flags: this.flags,
      heredocs: this.heredocs,
    };
  }

  /** The same line, seen as the trigger of this ONBUILD. */
  inner(node: SyntaxNode): InstructionContext {
    return new InstructionContext(node, this.parts());
  }

  word(token: Token): Word {
    return { text: token.value, span: this.spanOf(token) };
  }

  /** A part of a token as a word. */
  part(token: Token, start: number, end: number): Word {
    const from = token.offset + start;
    return {
      text: token.value.slice(start, end),
      span: this.line.span(from, Math.max(from, token.offset + end)),
    };
  }

  spanOf(token: Token): Span {
    return this.line.span(token.offset, token.offset + token.value.length);
  }

  /** From the first token to the end of the last. */
  spanOver(first: Token, last: Token): Span {
    return this.line.span(first.offset, last.offset + last.value.length);
  }

  /** The words of a list, in either form. */
  words(args: WordList | JsonArray): Word[] {
    if (args.form === 'words') return args.words.map((token) => this.word(token));
    return args.elements.map((token) => ({ text: decodeJsonString(token.value), span: this.spanOf(token) }));
  }

  /** The text of a command's shell form, as one piece. */
  text(args: CommandText): string {
    return args.pieces.map((piece) => piece.value).join('');
  }

  /** An error about the instruction as a whole. */
  error(code: 'ARGUMENT_MISSING' | 'ARGUMENT_UNEXPECTED', message: string, help: string): CairnError {
    return new CairnError(code, { message, at: this.textSpan, help });
  }

  private parts(): {
    line: LogicalLine;
    escape: EscapeCharacter;
    heredocs: readonly Heredoc[];
    endLine: number;
  } {
    return { line: this.line, escape: this.escape, heredocs: this.heredocs, endLine: this.endLine };
  }
}

/** The value of a JSON string token; halves of broken surrogate pairs become U+FFFD, as in Go. */
function decodeJsonString(token: string): string {
  const text: unknown = JSON.parse(token);
  return String(text).replace(/\p{Surrogate}/gu, '\ufffd');
}

/** Quotes are removed and escapes resolved in flags before anything else; in both kinds of quotes an escape works. */
function unquoteFlag(raw: string, escapeCharacter: EscapeCharacter): string {
  let result = '';
  let quote = '';
  for (let at = 0; at < raw.length; at += 1) {
    const character = raw.charAt(at);
    if (character === escapeCharacter) {
      at += 1;
      result += raw.charAt(at);
    } else if (quote === '' && (character === '"' || character === "'")) quote = character;
    else if (character === quote) quote = '';
    else result += character;
  }
  return result;
}
