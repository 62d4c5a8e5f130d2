import { CairnError } from '../errors/index.ts';
import { parseFlags } from './flags.ts';
import type {
  ExposeInstruction,
  MaintainerInstruction,
  StopsignalInstruction,
  UserInstruction,
  VolumeInstruction,
  Word,
  WorkdirInstruction,
} from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import type { CommandText, JsonArray, WordList } from './node.ts';
import { trimSpace } from './space.ts';

export function parseUser(context: InstructionContext): UserInstruction {
  const user = theText(context, 'write USER name, USER name:group or USER 1000:1000');
  parseFlags(context, {});
  return { ...context.base(), kind: 'user', user };
}

export function parseWorkdir(context: InstructionContext): WorkdirInstruction {
  const path = theText(context, 'write WORKDIR /path');
  parseFlags(context, {});
  return { ...context.base(), kind: 'workdir', path };
}

/** Its flags are not looked at, as in BuildKit. */
export function parseStopsignal(context: InstructionContext): StopsignalInstruction {
  const signal = theText(context, 'write STOPSIGNAL SIGTERM');
  return { ...context.base(), kind: 'stopsignal', signal };
}

export function parseMaintainer(context: InstructionContext): MaintainerInstruction {
  const author = theText(context, 'write LABEL org.opencontainers.image.authors="name"');
  parseFlags(context, {});
  return { ...context.base(), kind: 'maintainer', author };
}

export function parseExpose(context: InstructionContext): ExposeInstruction {
  const ports = context.words(context.node.args as WordList);
  if (ports.length === 0)
    throw context.error('ARGUMENT_MISSING', 'EXPOSE needs a port', 'write EXPOSE 80 or EXPOSE 53/udp');
  parseFlags(context, {});
  ports.sort((left, right) => (left.text < right.text ? -1 : left.text > right.text ? 1 : 0));
  return { ...context.base(), kind: 'expose', ports };
}

export function parseVolume(context: InstructionContext): VolumeInstruction {
  const args = context.node.args as WordList | JsonArray;
  const paths = context.words(args).map((word): Word => ({ ...word, text: trimSpace(word.text) }));
  if (paths.length === 0)
    throw context.error('ARGUMENT_MISSING', 'VOLUME needs a path', 'write VOLUME /data');
  parseFlags(context, {});
  const empty = paths.find((path) => path.text === '');
  if (empty !== undefined) {
    throw new CairnError('ARGUMENT_MISSING', {
      message: 'a path of VOLUME is empty',
      at: empty.span,
      help: 'remove the empty string, or write a path',
    });
  }
  return { ...context.base(), kind: 'volume', paths, isJson: args.form === 'json' };
}

/** The one argument of an instruction that takes the rest of the line. */
function theText(context: InstructionContext, help: string): Word {
  const [text] = (context.node.args as CommandText).pieces;
  if (text === undefined) {
    throw context.error('ARGUMENT_MISSING', `${context.keyword.toUpperCase()} needs an argument`, help);
  }
  return context.word(text);
}
