import { CairnError } from '../errors/index.ts';
import { parseFlags } from './flags.ts';
import { parseHeredocWord } from './heredoc-word.ts';
import type { AddInstruction, CopyInstruction, Word } from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import type { JsonArray, WordList } from './node.ts';
import { processShellWord } from './shell-word.ts';

const sharedFlags = { chown: 'string', chmod: 'string', link: 'bool', exclude: 'list' } as const;

export function parseCopy(context: InstructionContext): CopyInstruction {
  checkCount(context);
  const flags = parseFlags(context, { from: 'string', ...sharedFlags, parents: 'bool' });
  const from = flags.word('from');
  if (from !== undefined) checkFrom(from, context);
  const chown = flags.word('chown');
  const chmod = flags.word('chmod');
  return {
    ...context.base(),
    kind: 'copy',
    ...paths(context),
    ...(from && { from }),
    ...(chown && { chown }),
    ...(chmod && { chmod }),
    link: flags.bool('link') ?? false,
    parents: flags.bool('parents') ?? false,
    exclude: flags.list('exclude'),
  };
}

export function parseAdd(context: InstructionContext): AddInstruction {
  checkCount(context);
  const flags = parseFlags(context, {
    checksum: 'string',
    ...sharedFlags,
    'keep-git-dir': 'bool',
    unpack: 'bool',
  });
  const chown = flags.word('chown');
  const chmod = flags.word('chmod');
  const checksum = flags.word('checksum');
  const keepGitDir = flags.bool('keep-git-dir');
  const unpack = flags.bool('unpack');
  return {
    ...context.base(),
    kind: 'add',
    ...paths(context),
    ...(chown && { chown }),
    ...(chmod && { chmod }),
    ...(checksum && { checksum }),
    link: flags.bool('link') ?? false,
    exclude: flags.list('exclude'),
    ...(keepGitDir !== undefined && { keepGitDir }),
    ...(unpack !== undefined && { unpack }),
  };
}

function checkCount(context: InstructionContext): void {
  const count = context.words(context.node.args as WordList | JsonArray).length;
  if (count >= 2) return;
  const keyword = context.keyword.toUpperCase();
  throw context.error(
    'ARGUMENT_MISSING',
    count === 0
      ? `${keyword} needs a source and a destination`
      : `${keyword} needs a destination after its source`,
    `write ${keyword} source destination ("." is the working directory)`,
  );
}

function paths(context: InstructionContext): { sources: Word[]; destination: Word; isJson: boolean } {
  const args = context.node.args as WordList | JsonArray;
  const words = context.words(args);
  const destination = words.pop()!;
  if (args.form === 'json') return { sources: words, destination, isJson: true };
  const keyword = context.keyword.toUpperCase();
  if (parseHeredocWord(destination.text) !== undefined) {
    throw new CairnError('HEREDOC_MISPLACED', {
      message: `the destination of ${keyword} cannot be a heredoc`,
      at: destination.span,
      help: `write ${keyword} ${destination.text} /path/of/the/file`,
    });
  }
  const heredocs = new Set(args.words.flatMap((token, index) => (token.type === 'heredoc' ? [index] : [])));
  for (const [index, word] of words.entries()) checkSource(word, heredocs.has(index), keyword);
  return { sources: words.filter((_, index) => !heredocs.has(index)), destination, isJson: false };
}

/** Words of COPY and ADD end at every blank, so a delimiter cannot hold one (BuildKit looks for files `<<` and `EOF`). */
function checkSource(word: Word, isHeredoc: boolean, keyword: string): void {
  const isBroken = isHeredoc ? /[\t\v\f\r ]/.test(word.text) : parseHeredocWord(word.text) !== undefined;
  if (!isBroken) return;
  throw new CairnError('HEREDOC_MISPLACED', {
    message: `${keyword} cannot have a blank in a heredoc word`,
    at: word.span,
    help: 'write the delimiter right behind <<, without blanks: <<EOF',
  });
}

/** BuildKit refuses whatever its word expansion would change. */
function checkFrom(from: Word, context: InstructionContext): void {
  const isPlain = (): boolean => {
    try {
      return (
        processShellWord(from.text, { escape: context.escape, lookup: () => undefined }).text === from.text
      );
    } catch {
      return false;
    }
  };
  if (isPlain()) return;
  throw new CairnError('VARIABLE_NOT_ALLOWED', {
    message: 'variables are not expanded in COPY --from',
    at: from.span,
    help: `name the image in a stage of its own: ARG … before the first FROM, "FROM ${from.text} AS source", then --from=source`,
  });
}
