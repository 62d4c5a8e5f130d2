import { CairnError } from '../errors/index.ts';
import { parseFlags } from './flags.ts';
import type {
  ArgDeclaration,
  ArgInstruction,
  EnvInstruction,
  EscapeCharacter,
  LabelInstruction,
  Pair,
} from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import type { Token } from './lexer.ts';
import type { Pairs, WordList } from './node.ts';

export function parseEnv(context: InstructionContext): EnvInstruction {
  parseFlags(context, {});
  return { ...context.base(), kind: 'env', pairs: parsePairs(context) };
}

export function parseLabel(context: InstructionContext): LabelInstruction {
  parseFlags(context, {});
  return { ...context.base(), kind: 'label', pairs: parsePairs(context) };
}

/** ARG name[=default] …; its flags are not looked at, as in BuildKit. */
export function parseArg(context: InstructionContext): ArgInstruction {
  const tokens = (context.node.args as WordList).words.map((token) =>
    withoutDanglingEscape(token, context.escape),
  );
  if (tokens.length === 0) {
    throw context.error('ARGUMENT_MISSING', 'ARG needs a name', 'write ARG NAME, or ARG NAME=default');
  }
  return { ...context.base(), kind: 'arg', args: tokens.map((token) => parseDeclaration(context, token)) };
}

function parseDeclaration(context: InstructionContext, token: Token): ArgDeclaration {
  const equals = token.value.indexOf('=');
  if (equals === 0) throw blankName(context, token);
  const name = context.part(token, 0, equals < 0 ? token.value.length : equals);
  const description = describe(context.line.comments, name.text);
  return {
    name,
    ...(equals > 0 && { value: context.part(token, equals + 1, token.value.length) }),
    ...(description !== undefined && { description }),
  };
}

function parsePairs(context: InstructionContext): Pair[] {
  const { assignments, legacy } = context.node.args as Pairs;
  const keyword = context.keyword.toUpperCase();
  if (legacy !== undefined) {
    return [{ key: context.word(legacy.key), value: context.word(legacy.value), legacy: true }];
  }
  if (assignments.length === 0) {
    throw context.error(
      'ARGUMENT_MISSING',
      `${keyword} needs a key and a value`,
      `write ${keyword} key=value`,
    );
  }
  return assignments.map((given) => {
    const token = withoutDanglingEscape(given, context.escape);
    const equals = token.value.indexOf('=');
    if (equals === 0) throw blankName(context, token);
    const value = context.part(token, equals + 1, token.value.length);
    return { key: context.part(token, 0, equals), value, legacy: false };
  });
}

function blankName(context: InstructionContext, token: Token): CairnError {
  const keyword = context.keyword.toUpperCase();
  return new CairnError('PAIR_INVALID', {
    message: `${keyword} has no name before "="`,
    at: context.spanOf(token),
    help: `write ${keyword} NAME${token.value}; there may be no blank before "="`,
  });
}

/** The rest of the first comment line that starts with the name. */
export function describe(comments: readonly string[], name: string): string | undefined {
  const found = comments.find((comment) => comment.startsWith(`${name} `));
  return found?.slice(name.length + 1);
}

/** An escape character with nothing behind it (the end of the instruction) is not part of the word. */
function withoutDanglingEscape(token: Token, escapeCharacter: EscapeCharacter): Token {
  if (!token.value.endsWith(escapeCharacter)) return token;
  let quote = '';
  for (let at = 0; at < token.value.length; at += 1) {
    const character = token.value.charAt(at);
    if (character === escapeCharacter && quote !== "'") {
      at += 1;
      if (at === token.value.length) return { ...token, value: token.value.slice(0, -1) };
    } else if (character === quote) quote = '';
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
  }
  return token;
}
