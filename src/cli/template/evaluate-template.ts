import type { ArgumentType, FunctionTable } from './functions.ts';
import type { Command, Node, Operand, Pipe } from './node.ts';
import type { ParsedTemplate } from './parse-template.ts';
import { printValue } from './print-value.ts';
import { TemplateExecError } from './template-error.ts';
import {
  GoDuration,
  GoMap,
  GoNil,
  GoStruct,
  GoTime,
  type GoValue,
  isSlice,
  isTruthy,
  typeNameOf,
} from './value.ts';

export interface EvaluateOptions {
  readonly functions: FunctionTable;
  /** A map without the key: the invalid value (Go's default), or an error. */
  readonly missingKey?: 'invalid' | 'error';
}

/**
 * Executes a template over a value.
 * @throws {TemplateExecError} worded as Go words it
 */
export function evaluateTemplate(template: ParsedTemplate, data: GoValue, options: EvaluateOptions): string {
  return new Evaluation(template, data, options).run();
}

class LoopJump extends Error {
  readonly kind: 'break' | 'continue';
  constructor(kind: 'break' | 'continue') {
    super(kind);
    this.kind = kind;
  }
}

class Evaluation {
  readonly #template: ParsedTemplate;
  readonly #data: GoValue;
  readonly #options: EvaluateOptions;
  readonly #variables: { readonly name: string; value: GoValue }[];
  #output = '';

  constructor(template: ParsedTemplate, data: GoValue, options: EvaluateOptions) {
    this.#template = template;
    this.#data = data;
    this.#options = options;
    this.#variables = [{ name: '$', value: data }];
  }

  run(): string {
    this.#list(this.#template.nodes, this.#data);
    return this.#output;
  }

  #fail(node: { readonly offset: number; readonly text: string }, message: string): never {
    const before = this.#template.source.slice(0, node.offset);
    const line = before.split('\n').length;
    const column = Buffer.byteLength(before.slice(before.lastIndexOf('\n') + 1));
    const { name } = this.#template;
    throw new TemplateExecError(
      `template: ${name}:${line}:${column}: executing "${name}" at <${node.text}>: ${message}`,
    );
  }

  // -------------------------------------------------------------------------------------------- nodes

  #list(nodes: readonly Node[], dot: GoValue): void {
    for (const node of nodes) this.#node(node, dot);
  }

  #node(node: Node, dot: GoValue): void {
    switch (node.kind) {
      case 'text':
        this.#output += node.text;
        return;
      case 'action': {
        const value = this.#pipe(node.pipe, dot);
        if (node.pipe.variables.length === 0) this.#output += printValue(value);
        return;
      }
      case 'break':
      case 'continue':
        throw new LoopJump(node.kind);
      case 'range':
        this.#scoped(() => this.#range(node, dot));
        return;
      default:
        this.#scoped(() => {
          const value = this.#pipe(node.pipe, dot);
          if (isTruthy(value)) this.#list(node.body, node.kind === 'with' ? value : dot);
          else this.#list(node.otherwise, dot);
        });
    }
  }

  /** Variables declared inside vanish afterwards. */
  #scoped(action: () => void): void {
    const mark = this.#variables.length;
    try {
      action();
    } finally {
      this.#variables.length = mark;
    }
  }

  #range(node: Extract<Node, { kind: 'range' | 'if' | 'with' }>, dot: GoValue): void {
    const value = this.#pipe(node.pipe, dot, { declare: false });
    const pairs = this.#rangePairs(node.pipe, value);
    const { variables, assigns } = node.pipe;
    for (const [key, item] of pairs) {
      const mark = this.#variables.length;
      const bindings = variables.length === 2 ? [key, item] : [item];
      variables.forEach((name, index) => {
        if (assigns) this.#assign(name, bindings[index]);
        else this.#variables.push({ name, value: bindings[index] });
      });
      try {
        this.#list(node.body, item);
      } catch (error) {
        if (!(error instanceof LoopJump)) throw error;
        if (error.kind === 'break') return;
      } finally {
        this.#variables.length = mark;
      }
    }
    if (pairs.length === 0) this.#list(node.otherwise, dot);
  }

  #rangePairs(pipe: Pipe, value: GoValue): readonly (readonly [GoValue, GoValue])[] {
    if (isSlice(value)) return value.map((item, index) => [index, item]);
    if (value instanceof GoMap) return value.entries();
    if (value === undefined || value === null || value instanceof GoNil) return [];
    if (typeof value === 'number' && Number.isInteger(value))
      return Array.from({ length: Math.max(value, 0) }, (_, index) => [index, index]);
    return this.#fail(pipe, `range can't iterate over ${printValue(value)}`);
  }

  // ---------------------------------------------------------------------------------------- pipelines

  #pipe(pipe: Pipe, dot: GoValue, options: { readonly declare: boolean } = { declare: true }): GoValue {
    let value: GoValue;
    pipe.commands.forEach((command, index) => {
      value = this.#command(command, dot, index > 0 ? [value] : []);
    });
    if (options.declare)
      for (const name of pipe.variables) {
        if (pipe.assigns) this.#assign(name, value);
        else this.#variables.push({ name, value });
      }
    return value;
  }

  #assign(name: string, value: GoValue): void {
    const variable = this.#variables.findLast((candidate) => candidate.name === name);
    if (variable) variable.value = value;
  }

  #command(command: Command, dot: GoValue, piped: readonly GoValue[]): GoValue {
    const [first, ...rest] = command.operands;
    if (first.kind === 'function') return this.#call(command, first.name, rest, dot, piped);
    if (rest.length > 0 || piped.length > 0) {
      if (first.kind === 'field' || first.kind === 'variable' || first.kind === 'chain')
        this.#fail(first, `${lastName(first)} is not a method but has arguments`);
      this.#fail(first, `can't give argument to non-function ${first.text}`);
    }
    if (first.kind === 'nil') this.#fail(first, 'nil is not a command');
    return this.#operand(first, dot);
  }

  #operand(operand: Operand, dot: GoValue): GoValue {
    switch (operand.kind) {
      case 'dot':
        return dot;
      case 'nil':
        return null;
      case 'constant':
        return operand.value;
      case 'field':
        return this.#fields(operand, dot, operand.names);
      case 'variable': {
        const variable = this.#variables.findLast(({ name }) => name === operand.name);
        return this.#fields(operand, variable?.value, operand.names);
      }
      case 'function':
        return this.#call(operand, operand.name, [], dot, []);
      case 'pipe':
        return this.#scopedValue(operand.pipe, dot);
      case 'chain':
        return this.#fields(operand, this.#scopedValue(operand.pipe, dot), operand.names);
    }
  }

  #scopedValue(pipe: Pipe, dot: GoValue): GoValue {
    let value: GoValue;
    this.#scoped(() => {
      value = this.#pipe(pipe, dot);
    });
    return value;
  }

  #fields(operand: Operand, receiver: GoValue, names: readonly string[]): GoValue {
    return names.reduce<GoValue>((value, name) => this.#field(operand, value, name), receiver);
  }

  #field(operand: Operand, receiver: GoValue, name: string): GoValue {
    if (receiver === undefined) {
      if (this.#options.missingKey === 'error') this.#fail(operand, `nil data; no entry for key "${name}"`);
      return undefined;
    }
    if (receiver === null) return this.#fail(operand, `nil pointer evaluating interface {}.${name}`);
    if (receiver instanceof GoStruct && receiver.has(name)) return receiver.get(name);
    if (receiver instanceof GoMap) {
      if (!receiver.has(name) && this.#options.missingKey === 'error')
        this.#fail(operand, `map has no entry for key "${name}"`);
      return receiver.get(name);
    }
    if (receiver instanceof GoNil) {
      if (receiver.kind === 'pointer')
        this.#fail(operand, `nil pointer evaluating ${receiver.typeName}.${name}`);
      if (receiver.kind === 'map') {
        if (this.#options.missingKey === 'error') this.#fail(operand, `map has no entry for key "${name}"`);
        return undefined;
      }
    }
    // Values of a decoded JSON document are interfaces to Go, whatever they hold.
    const isRaw = this.#options.missingKey === 'error' && !(receiver instanceof GoStruct);
    return this.#fail(
      operand,
      `can't evaluate field ${name} in type ${isRaw ? 'interface {}' : typeNameOf(receiver)}`,
    );
  }

  // -------------------------------------------------------------------------------------------- calls

  #call(
    at: { readonly offset: number; readonly text: string },
    name: string,
    operands: readonly Operand[],
    dot: GoValue,
    piped: readonly GoValue[],
  ): GoValue {
    const definition = this.#options.functions.get(name);
    if (!definition) throw new Error(`the parser let the unknown function ${name} through`);
    const count = operands.length + piped.length;
    const wanted = definition.args.length;
    // Go names only the function here, not its arguments.
    const self = { offset: at.offset, text: name };
    if (definition.rest ? count < wanted : count !== wanted)
      this.#fail(
        self,
        `wrong number of args for ${name}: want ${definition.rest ? 'at least ' : ''}${wanted} got ${count}`,
      );
    if (name === 'and' || name === 'or') return this.#shortCircuit(name, operands, dot, piped);
    const values = [...operands.map((operand) => this.#operand(operand, dot)), ...piped];
    values.forEach((value, index) => {
      const type = definition.args[index] ?? definition.rest ?? 'any';
      if (!accepts(type, value)) this.#wrongType(operands[index] ?? { ...self, kind: 'value' }, type, value);
    });
    try {
      return definition.call(...values);
    } catch (error) {
      return this.#fail(
        at,
        `error calling ${name}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  #wrongType(
    at: { readonly offset: number; readonly text: string; readonly kind: string },
    type: ArgumentType,
    value: GoValue,
  ): never {
    if (at.kind === 'constant') this.#fail(at, `expected ${type}; found ${at.text}`);
    if (at.kind === 'nil') this.#fail(at, `cannot assign nil to ${type}`);
    if (value === undefined || value === null) this.#fail(at, `invalid value; expected ${type}`);
    return this.#fail(at, `wrong type for value; expected ${type}; got ${typeNameOf(value)}`);
  }

  #shortCircuit(
    name: 'and' | 'or',
    operands: readonly Operand[],
    dot: GoValue,
    piped: readonly GoValue[],
  ): GoValue {
    let value: GoValue;
    for (const operand of operands) {
      value = this.#operand(operand, dot);
      if (isTruthy(value) === (name === 'or')) return value;
    }
    return piped.length > 0 ? piped[0] : value;
  }
}

function lastName(operand: Operand): string {
  return operand.text.slice(operand.text.lastIndexOf('.') + 1);
}

function accepts(type: ArgumentType, value: GoValue): boolean {
  switch (type) {
    case 'any':
      return true;
    case 'string':
      return typeof value === 'string';
    case 'int':
      return typeof value === 'number' && Number.isInteger(value);
    default:
      if (value instanceof GoTime || value instanceof GoDuration) return false;
      return isSlice(value)
        ? value.every((item) => typeof item === 'string')
        : value instanceof GoNil && value.kind === 'slice';
  }
}
