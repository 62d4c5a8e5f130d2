import nearley, { type Lexer } from 'nearley';
import { CairnError } from '../errors/index.ts';
import { rules, start } from './grammar.generated.ts';
import type { EscapeCharacter, Heredoc } from './instruction.ts';
import { InstructionContext } from './instruction-context.ts';
import { type Token, tokenize } from './lexer.ts';
import type { LineReader } from './line-reader.ts';
import type { LogicalLine } from './logical-line.ts';
import type { SyntaxNode } from './node.ts';
import { trimSpace } from './space.ts';

let compiled: InstanceType<typeof nearley.Grammar> | undefined;

/** The grammar, made on first use. */
export function grammar(): InstanceType<typeof nearley.Grammar> {
  compiled ??= nearley.Grammar.fromCompiled({
    ParserRules: rules.map((rule) => ({ ...rule, symbols: [...rule.symbols] })) as never,
    ParserStart: start,
  });
  return compiled;
}

/** Hands the tokens of one instruction to nearley. */
export class TokenFeed implements Lexer {
  private readonly tokens: Iterator<Token, void>;

  constructor(tokens: Iterator<Token, void>) {
    this.tokens = tokens;
  }

  next(): Token | undefined {
    return this.tokens.next().value ?? undefined;
  }

  reset(): void {}

  save(): Record<string, never> {
    return {};
  }

  formatError(_token: unknown, message: string): string {
    return message;
  }
}

/**
 * The nodes of a Dockerfile, one instruction at a time, each with its heredocs read.
 * @throws {CairnError} JSON_ARRAY_INVALID, PAIR_INVALID, HEREDOC_UNTERMINATED
 */
export function* readNodes(reader: LineReader): Generator<InstructionContext, void> {
  for (let line = reader.readInstruction(); line !== undefined; line = reader.readInstruction()) {
    const node = parseLine(line, reader.escape);
    const heredocs = readHeredocs(node, line, reader);
    yield new InstructionContext(node, { line, escape: reader.escape, heredocs, endLine: reader.lastLine });
  }
}

function parseLine(line: LogicalLine, escapeCharacter: EscapeCharacter): SyntaxNode {
  if (trimSpace(line.text) === '') throw joinsNothing(line);
  const feed = new TokenFeed(tokenize(line.text, escapeCharacter));
  const parser = new nearley.Parser(grammar(), { lexer: feed });
  try {
    parser.feed('');
  } catch (error) {
    throw isTokenError(error) ? syntaxError(error.token, line) : error;
  }
  const [node, second] = parser.results as SyntaxNode[];
  if (node === undefined || second !== undefined)
    throw new Error(`the grammar is not unambiguous: ${line.text}`);
  return node;
}

function joinsNothing(line: LogicalLine): CairnError {
  return new CairnError('UNKNOWN_INSTRUCTION', {
    message: 'a line continuation joins nothing',
    at: line.span(0, 1),
    help: 'remove it, or write an instruction before it',
  });
}

function isTokenError(error: unknown): error is Error & { token: Token } {
  return error instanceof Error && 'token' in error && error.token !== undefined;
}

/** Says what the grammar did not expect; it only can be in a JSON array or in pairs. */
function syntaxError(token: Token, line: LogicalLine): CairnError {
  const keyword = (/^\S+/.exec(line.text.trimStart())?.[0] ?? '').toUpperCase();
  const at = line.span(token.offset, token.offset + Math.max(1, token.value.length));
  if (token.type === 'bare') {
    return new CairnError('PAIR_INVALID', {
      message: `"${token.value}" has no "="`,
      at,
      notes: [{ message: `the first word has one, so this ${keyword} takes key=value pairs` }],
      help: 'put quotes around a value with blanks, or escape them: KEY="a b"',
    });
  }
  if (token.type === 'end') {
    return new CairnError('ARGUMENT_MISSING', {
      message: `${keyword} needs a value for "${line.text.trim().split(/\s+/).slice(1).join(' ')}"`,
      at: line.span(0, line.text.trimEnd().length),
      help: `write ${keyword} key=value (key= for an empty value)`,
    });
  }
  return new CairnError('JSON_ARRAY_INVALID', {
    message: 'a JSON array of arguments may hold strings only',
    at,
    notes: [
      { message: `${keyword} has its arguments as a JSON array, since they start with "[" and parse as one` },
    ],
    help: /^[\w.+-]+$/.test(token.value)
      ? `put it in double quotes: "${token.value}"`
      : 'write ["word", "word"]',
  });
}

function readHeredocs(node: SyntaxNode, line: LogicalLine, reader: LineReader): Heredoc[] {
  return heredocTokens(node).map((token) => {
    const word = token.heredoc!;
    const span = line.span(token.offset, token.offset + token.value.length);
    const firstLine = reader.lastLine + 1;
    const read = reader.readHeredoc(word.name, word.chomp);
    if (read === undefined) throw unterminated(word, { span, line, firstLine });
    const { body: rawBody, bodyLine } = read;
    const body = word.chomp ? rawBody.replace(/(^|\n)\t+/g, '$1') : rawBody;
    return { ...word, body, rawBody, word: { text: token.value, span }, bodyLine };
  });
}

function heredocTokens({ args }: SyntaxNode): Token[] {
  if (args.form === 'trigger') return args.node === undefined ? [] : heredocTokens(args.node);
  const tokens = args.form === 'words' ? args.words : args.form === 'text' ? args.pieces : [];
  return tokens.filter((token) => token.type === 'heredoc');
}

function unterminated(
  { name, chomp }: { name: string; chomp: boolean },
  { span, line, firstLine }: { span: Heredoc['word']['span']; line: LogicalLine; firstLine: number },
): CairnError {
  const { source } = line;
  let near: number | undefined;
  for (let at = firstLine; at <= source.lineCount && near === undefined; at += 1) {
    if (source.line(at).trim() === name) near = at;
  }
  return new CairnError('HEREDOC_UNTERMINATED', {
    message: `the heredoc "${name}" has no end: no line below consists of ${name} alone`,
    at: span,
    notes:
      near === undefined
        ? [{ message: `everything down to the last line (${source.lineCount}) was taken as its body` }]
        : [{ message: 'this line has blanks around it, so it does not count', at: source.lineSpan(near) }],
    help:
      near === undefined
        ? `add a line with just ${name} after the body`
        : `remove the blanks${chomp ? '' : '; with <<- the line may be indented with tabs'}`,
  });
}
