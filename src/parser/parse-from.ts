import { CairnError } from '../errors/index.ts';
import { parseFlags } from './flags.ts';
import type { FromInstruction } from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import type { WordList } from './node.ts';

const stageName = /^[a-z][a-z0-9-_.]*$/;

/** FROM [--platform=P] image [AS name]. */
export function parseFrom(context: InstructionContext): FromInstruction {
  const words = context.words(context.node.args as WordList);
  const [image, as, alias] = words;
  if (image === undefined) {
    throw context.error('ARGUMENT_MISSING', 'FROM needs an image', 'write FROM image, or FROM image AS name');
  }
  const hasAlias = words.length === 3 && as?.text.toLowerCase() === 'as';
  if (words.length !== 1 && !hasAlias) throw wrongArguments(context, words.length, as?.text ?? '');
  if (alias !== undefined && !stageName.test(alias.text.toLowerCase())) {
    throw new CairnError('STAGE_NAME_INVALID', {
      message: `"${alias.text}" is no name for a stage`,
      at: alias.span,
      help: 'start with a letter; letters, digits, "-", "_" and "." may follow',
    });
  }
  const platform = parseFlags(context, { platform: 'string' }).word('platform');
  return {
    ...context.base(),
    kind: 'from',
    image,
    ...(platform && { platform }),
    ...(hasAlias && as && alias && { as, alias }),
  };
}

function wrongArguments(context: InstructionContext, count: number, second: string): CairnError {
  if (count === 2 && second.toLowerCase() === 'as') {
    return context.error('ARGUMENT_MISSING', `${second} needs a stage name`, 'write FROM image AS name');
  }
  return context.error(
    count === 2 ? 'ARGUMENT_MISSING' : 'ARGUMENT_UNEXPECTED',
    'FROM takes an image, or an image, AS and a name',
    count === 2
      ? `write FROM image AS ${second}`
      : 'remove what is too much; a comment needs a line of its own',
  );
}
