import type { InstructionContext } from '../../src/parser/instruction-context.ts';
import { LineReader } from '../../src/parser/line-reader.ts';
import type { JsonArray, NodeArguments } from '../../src/parser/node.ts';
import { readNodes } from '../../src/parser/read-nodes.ts';
import { SourceText } from '../../src/parser/source-text.ts';

/** The structure of a Dockerfile, one s-expression a line, as BuildKit's parser dumps it. */
export function dumpStructure(content: string | Uint8Array): string {
  const reader = new LineReader(new SourceText(content, 'Dockerfile'));
  return [...readNodes(reader)].map((context) => `(${dumpNode(context)})\n`).join('');
}

function dumpNode(context: InstructionContext): string {
  const flags = context.flags.filter((flag) => flag.text !== '--').map((flag) => quote(flag.text));
  const head = context.keyword.toLowerCase() + (flags.length > 0 ? ` [${flags.join(' ')}]` : '');
  return [head, ...dumpArguments(context, context.node.args)].join(' ');
}

function dumpArguments(context: InstructionContext, args: NodeArguments): string[] {
  switch (args.form) {
    case 'words':
    case 'json':
      return context.words(args).map((word) => quote(word.text));
    case 'text':
      return args.pieces.length === 0 ? [] : [quote(context.text(args))];
    case 'pairs': {
      const pair = (key: string, value: string, sign: string): string[] => [
        quote(key),
        quote(value),
        quote(sign),
      ];
      if (args.legacy) return pair(args.legacy.key.value, args.legacy.value.value, '');
      return args.assignments.flatMap(({ value }) => {
        const equals = value.indexOf('=');
        return pair(value.slice(0, equals), value.slice(equals + 1), '=');
      });
    }
    case 'health': {
      if (args.type === undefined) return [];
      return [quote(args.type.value), ...dumpArguments(context, args.command as JsonArray)];
    }
    case 'trigger':
      return args.node === undefined ? [] : [`(${dumpNode(context.inner(args.node))})`];
    case 'unknown':
      return [''];
  }
}

/** Go's `strconv.Quote` for what the corpus holds. */
function quote(text: string): string {
  const named: Record<string, string> = {
    '\x07': 'a',
    '\b': 'b',
    '\f': 'f',
    '\n': 'n',
    '\r': 'r',
    '\t': 't',
    '\v': 'v',
    '\\': '\\',
    '"': '"',
  };
  const quoted = text.replace(/[\x00-\x1f"\\\x7f]/g, (character) => {
    const name = named[character];
    return `\\${name ?? `x${character.charCodeAt(0).toString(16).padStart(2, '0')}`}`;
  });
  return `"${quoted}"`;
}
