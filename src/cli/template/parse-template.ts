import { lexTemplate, type Token } from './lex-template.ts';
import type { Command, Node, Operand, Pipe } from './node.ts';
import { quoteGo } from './print-value.ts';
import { TemplateParseError } from './template-error.ts';
import type { GoValue } from './value.ts';

export interface ParsedTemplate {
  readonly name: string;
  readonly source: string;
  readonly nodes: readonly Node[];
}

/**
 * Parses a Go text/template without `define`, `template` and `block`, which no one-line format uses.
 * @param isFunction - which identifiers are functions.
 * @throws {TemplateParseError} worded as Go words it
 */
export function parseTemplate(
  name: string,
  source: string,
  isFunction: (name: string) => boolean,
): ParsedTemplate {
  const parser = new TemplateParser(name, source, isFunction);
  return { name, source, nodes: parser.parse() };
}

type ListEnd = 'end' | 'else' | 'else if' | 'else with';

class TemplateParser {
  readonly #name: string;
  readonly #source: string;
  readonly #isFunction: (name: string) => boolean;
  readonly #tokens: readonly Token[];
  #position = 0;
  #actionLine = 0;
  #rangeDepth = 0;
  #variables: string[] = ['$'];

  constructor(name: string, source: string, isFunction: (name: string) => boolean) {
    this.#name = name;
    this.#source = source;
    this.#isFunction = isFunction;
    this.#tokens = lexTemplate(source);
  }

  parse(): readonly Node[] {
    const nodes: Node[] = [];
    while (this.#peek().kind !== 'eof') {
      const node = this.#textOrAction();
      if (typeof node === 'string') this.#fail(`unexpected {{${node.split(' ')[0]}}}`);
      nodes.push(node);
    }
    return nodes;
  }

  // ------------------------------------------------------------------------------------------- tokens

  #peek(): Token {
    return this.#tokens[this.#position] as Token;
  }

  #next(): Token {
    const token = this.#peek();
    if (this.#position < this.#tokens.length - 1) this.#position++;
    return token;
  }

  #skipSpace(): Token {
    while (this.#peek().kind === 'space') this.#next();
    return this.#peek();
  }

  #line(offset = this.#peek().offset): number {
    return this.#source.slice(0, offset).split('\n').length;
  }

  #fail(message: string): never {
    throw new TemplateParseError(`template: ${this.#name}:${this.#line()}: ${message}`);
  }

  #unexpected(token: Token, context: string): never {
    if (token.kind === 'error') {
      let extra = '';
      if (this.#actionLine !== 0 && this.#actionLine !== this.#line(token.offset)) {
        extra = ` in action started at ${this.#name}:${this.#actionLine}`;
        if (token.text.endsWith(' action')) extra = extra.slice(' in action'.length);
      }
      this.#fail(token.text + extra);
    }
    this.#fail(`unexpected ${describe(token)} in ${context}`);
  }

  // -------------------------------------------------------------------------------------------- nodes

  #textOrAction(): Node | ListEnd {
    const token = this.#next();
    if (token.kind === 'text') return { kind: 'text', text: token.text };
    if (token.kind === 'left') {
      this.#actionLine = this.#line(token.offset);
      const node = this.#action();
      this.#actionLine = 0;
      return node;
    }
    return this.#unexpected(token, 'input');
  }

  #action(): Node | ListEnd {
    const token = this.#skipSpace();
    if (token.kind !== 'keyword') return { kind: 'action', pipe: this.#pipeline('command', ['right']) };
    this.#next();
    switch (token.text) {
      case 'if':
      case 'with':
      case 'range':
        return this.#control(token.text);
      case 'else':
        return this.#elseControl();
      case 'end':
        this.#expectRight('end');
        return 'end';
      case 'break':
      case 'continue':
        if (this.#rangeDepth === 0) this.#fail(`{{${token.text}}} outside {{range}}`);
        this.#expectRight(`{{${token.text}}}`);
        return { kind: token.text };
      default:
        return this.#fail(`{{${token.text}}} is not supported in a format`);
    }
  }

  #expectRight(context: string): void {
    const token = this.#skipSpace();
    if (token.kind !== 'right') this.#unexpected(token, context);
    this.#next();
  }

  #elseControl(): ListEnd {
    const token = this.#skipSpace();
    if (token.kind === 'keyword' && (token.text === 'if' || token.text === 'with')) {
      this.#next();
      return `else ${token.text}`;
    }
    this.#expectRight('else');
    return 'else';
  }

  #control(kind: 'if' | 'with' | 'range'): Node {
    const outerVariables = this.#variables.length;
    const pipe = this.#pipeline(kind, ['right']);
    if (kind === 'range') this.#rangeDepth++;
    const [body, end] = this.#list();
    if (kind === 'range') this.#rangeDepth--;
    let otherwise: readonly Node[] = [];
    if (end === 'else if' && kind === 'if') otherwise = [this.#control('if')];
    else if (end === 'else with' && kind === 'with') otherwise = [this.#control('with')];
    else if (end === 'else if' || end === 'else with') this.#fail(`unexpected <${end.slice(5)}> in else`);
    else if (end === 'else') {
      const [list, listEnd] = this.#list();
      if (listEnd !== 'end') this.#fail('expected end; found {{else}}');
      otherwise = list;
    }
    this.#variables.length = outerVariables;
    return { kind, pipe, body, otherwise };
  }

  #list(): [readonly Node[], ListEnd] {
    const nodes: Node[] = [];
    while (this.#peek().kind !== 'eof') {
      const node = this.#textOrAction();
      if (typeof node === 'string') return [nodes, node];
      nodes.push(node);
    }
    return this.#fail('unexpected EOF');
  }

  // ---------------------------------------------------------------------------------------- pipelines

  #pipeline(context: string, ends: readonly Token['kind'][]): Pipe {
    const start = this.#skipSpace();
    const { variables, assigns } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#skipSpace();
      if (ends.includes(token.kind)) {
        this.#checkPipeline(commands, context);
        this.#next();
        if (!assigns) this.#variables.push(...variables);
        const texts = commands.map((command) => command.text).join(' | ');
        const text =
          variables.length > 0 ? `${variables.join(', ')} ${assigns ? '=' : ':='} ${texts}` : texts;
        return { offset: start.offset, text, variables, assigns, commands };
      }
      if (!startsOperand(token)) this.#unexpected(token, context);
      commands.push(this.#command());
    }
  }

  /** `$x :=`, `$x =` or, in a range, `$i, $x :=`. */
  #declarations(context: string): { variables: readonly string[]; assigns: boolean } {
    const start = this.#position;
    const names: string[] = [];
    while (this.#skipSpace().kind === 'variable') {
      names.push(this.#next().text);
      const token = this.#skipSpace();
      if (token.kind === 'declare' || token.kind === 'assign') {
        this.#next();
        const assigns = token.kind === 'assign';
        if (assigns) for (const name of names) this.#checkVariable(name);
        return { variables: names, assigns };
      }
      if (token.kind !== 'comma') break;
      if (context !== 'range' || names.length > 1) this.#fail(`too many declarations in ${context}`);
      this.#next();
    }
    this.#position = start;
    return { variables: [], assigns: false };
  }

  #checkPipeline(commands: readonly Command[], context: string): void {
    if (commands.length === 0) this.#fail(`missing value for ${context}`);
    commands.slice(1).forEach((command, index) => {
      if (['constant', 'dot', 'nil'].includes(command.operands[0].kind))
        this.#fail(`non executable command in pipeline stage ${index + 2}`);
    });
  }

  #command(): Command {
    const offset = this.#peek().offset;
    const operands: Operand[] = [];
    for (;;) {
      this.#skipSpace();
      const operand = this.#operand();
      if (operand) operands.push(operand);
      const token = this.#next();
      if (token.kind === 'space') {
        const after = this.#skipSpace();
        if (after.kind !== 'right' && after.kind !== ')' && after.kind !== 'pipe') continue;
        if (after.kind === 'pipe') this.#next();
      } else if (token.kind === 'right' || token.kind === ')') {
        this.#position--;
      } else if (token.kind !== 'pipe') {
        this.#unexpected(token, 'operand');
      }
      break;
    }
    const [first, ...rest] = operands;
    if (first === undefined) return this.#fail('empty command');
    return { offset, text: operands.map(({ text }) => text).join(' '), operands: [first, ...rest] };
  }

  #operand(): Operand | null {
    const term = this.#term();
    if (term === null) return null;
    const chainOffset = this.#peek().offset;
    const names: string[] = [];
    while (this.#peek().kind === 'field') names.push(this.#next().text.slice(1));
    if (names.length === 0) return term;
    const text = `${term.text}.${names.join('.')}`;
    if (term.kind === 'field')
      return { ...term, offset: chainOffset, names: [...term.names, ...names], text };
    if (term.kind === 'variable')
      return { ...term, offset: chainOffset, names: [...term.names, ...names], text };
    if (term.kind === 'pipe') return { kind: 'chain', pipe: term.pipe, names, offset: chainOffset, text };
    if (term.kind === 'dot') return this.#fail(`unexpected . after term ${quoteGo(term.text)}`);
    return this.#fail(`unexpected . after term ${quoteGo(term.text)}`);
  }

  #term(): Operand | null {
    const token = this.#peek();
    const at = { offset: token.offset, text: token.text };
    switch (token.kind) {
      case 'identifier':
        this.#next();
        if (!this.#isFunction(token.text)) this.#fail(`function ${quoteGo(token.text)} not defined`);
        return { kind: 'function', name: token.text, ...at };
      case 'dot':
        this.#next();
        return { kind: 'dot', ...at };
      case 'nil':
        this.#next();
        return { kind: 'nil', ...at };
      case 'variable':
        this.#next();
        this.#checkVariable(token.text);
        return { kind: 'variable', name: token.text, names: [], ...at };
      case 'field':
        this.#next();
        return { kind: 'field', names: [token.text.slice(1)], ...at };
      case 'bool':
      case 'number':
      case 'char':
      case 'string':
        this.#next();
        return { kind: 'constant', value: this.#constant(token), ...at };
      case '(': {
        this.#next();
        const pipe = this.#pipeline('parenthesized pipeline', [')']);
        return { kind: 'pipe', pipe, offset: pipe.offset, text: `(${pipe.text})` };
      }
      default:
        return null;
    }
  }

  #checkVariable(name: string): void {
    if (!this.#variables.includes(name)) this.#fail(`undefined variable ${quoteGo(name)}`);
  }

  #constant(token: Token): GoValue {
    switch (token.kind) {
      case 'bool':
        return token.text === 'true';
      case 'number':
        return (
          Number(
            token.text
              .replace(/_/g, '')
              .replace(/^\+/, '')
              .replace(/^(-?)0(?=\d+$)/, '$10o'),
          ) || 0
        );
      case 'char':
        return this.#unquote(token.text).codePointAt(0) ?? 0;
      default:
        return token.text.startsWith('`')
          ? token.text.slice(1, -1).replace(/\r/g, '')
          : this.#unquote(token.text);
    }
  }

  /** Go's strconv.Unquote. */
  #unquote(text: string): string {
    const simple: Readonly<Record<string, string>> = {
      a: '\x07',
      b: '\b',
      f: '\f',
      n: '\n',
      r: '\r',
      t: '\t',
      v: '\v',
      '\\': '\\',
      "'": "'",
      '"': '"',
    };
    return text
      .slice(1, -1)
      .replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{3}|.)/gs, (_, code: string) => {
        if (/^[xuU][\da-fA-F]+$/.test(code) && code.length > 1)
          return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
        if (/^[0-7]{3}$/.test(code)) return String.fromCodePoint(Number.parseInt(code, 8));
        return simple[code] ?? this.#fail('invalid syntax');
      });
  }
}

function startsOperand(token: Token): boolean {
  return ['bool', 'char', 'dot', 'field', 'identifier', 'number', 'nil', 'string', 'variable', '('].includes(
    token.kind,
  );
}

/** A token as Go shows it in `unexpected …`. */
function describe(token: Token): string {
  if (token.kind === 'eof') return 'EOF';
  if (['keyword', 'dot', 'nil'].includes(token.kind)) return `<${token.text}>`;
  const chars = [...token.text];
  return chars.length > 10 ? `${quoteGo(chars.slice(0, 10).join(''))}...` : quoteGo(token.text);
}
