import { CairnError } from '../errors/index.ts';
import type { Word } from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import { suggest } from './suggest.ts';

/** What a flag takes: `true`/`false` or nothing; one value; a value each time it is given. */
export type FlagType = 'bool' | 'string' | 'list';

/** The flags of one instruction, checked. */
export interface ParsedFlags {
  /** The value of a string flag; undefined when it is absent or empty. */
  word(name: string): Word | undefined;
  list(name: string): readonly Word[];
  /** undefined when the flag is absent. */
  bool(name: string): boolean | undefined;
}

/**
 * Checks an instruction's flags against what it knows.
 * @throws {CairnError} UNKNOWN_FLAG, FLAG_REPEATED, FLAG_VALUE_MISSING, FLAG_VALUE_INVALID
 */
export function parseFlags(
  context: InstructionContext,
  known: Readonly<Record<string, FlagType>>,
): ParsedFlags {
  const values = new Map<string, { flag: Word; value: Word | undefined }[]>();
  for (const flag of context.flags) {
    const equals = flag.text.indexOf('=');
    const name = flag.text.slice(2, equals < 0 ? undefined : equals);
    const type = Object.hasOwn(known, name) ? known[name] : undefined;
    if (type === undefined) throw unknownFlag(context, flag, { name, known: Object.keys(known) });
    const value = equals < 0 ? undefined : flagValue(flag, equals);
    const earlier = values.get(name) ?? [];
    if (earlier.length > 0 && type !== 'list')
      throw repeated(context, flag, { name, first: earlier[0]!.flag });
    checkValue(flag, { name, type, value });
    earlier.push({ flag, value });
    values.set(name, earlier);
  }
  return {
    word: (name) => {
      const value = values.get(name)?.[0]?.value;
      return value?.text === '' ? undefined : value;
    },
    list: (name) => (values.get(name) ?? []).flatMap(({ value }) => (value === undefined ? [] : [value])),
    bool: (name) => {
      const given = values.get(name)?.[0];
      return given === undefined ? undefined : given.value?.text.toLowerCase() !== 'false';
    },
  };
}

function flagValue(flag: Word, equals: number): Word {
  const { span } = flag;
  const text = flag.text.slice(equals + 1);
  // With quotes around name and `=`, the flag as a whole is the best place to show.
  const isVerbatim = span.source.startsWith(flag.text.slice(0, equals + 1), span.column - 1);
  const skipped = isVerbatim ? Math.min(equals + 1, span.length - 1) : 0;
  return { text, span: { ...span, column: span.column + skipped, length: span.length - skipped } };
}

function checkValue(
  flag: Word,
  { name, type, value }: { name: string; type: FlagType; value: Word | undefined },
): void {
  if (type === 'bool') {
    if (value === undefined || /^(?:true|false)$/i.test(value.text)) return;
    if (value.text !== '') {
      throw new CairnError('FLAG_VALUE_INVALID', {
        message: `--${name} is true or false, not "${value.text}"`,
        at: value.span,
        help: `write --${name}, --${name}=true or --${name}=false`,
      });
    }
  } else if (value !== undefined) return;
  throw new CairnError('FLAG_VALUE_MISSING', {
    message: `--${name} has no value`,
    at: flag.span,
    help:
      type === 'bool'
        ? `write --${name}, or --${name}=false`
        : `write --${name}=VALUE, with no blank around "="`,
  });
}

/** Where flags belong that are easily put on another instruction. */
const owners: Readonly<Record<string, string>> = {
  from: 'COPY',
  parents: 'COPY',
  checksum: 'ADD',
  unpack: 'ADD',
  'keep-git-dir': 'ADD',
  chown: 'COPY and ADD',
  chmod: 'COPY and ADD',
  link: 'COPY and ADD',
  exclude: 'COPY and ADD',
  mount: 'RUN',
  network: 'RUN',
  security: 'RUN',
  platform: 'FROM',
};

function unknownFlag(
  context: InstructionContext,
  flag: Word,
  { name, known }: { name: string; known: readonly string[] },
): CairnError {
  const near = suggest(name, known);
  const owner = Object.hasOwn(owners, name) ? owners[name] : undefined;
  const keyword = context.keyword.toUpperCase();
  const all = known.map((one) => `--${one}`).join(', ');
  return new CairnError('UNKNOWN_FLAG', {
    message: `${keyword} has no flag --${name}`,
    at: flag.span,
    notes: [{ message: known.length === 0 ? `${keyword} takes no flags` : `${keyword} takes ${all}` }],
    help:
      near !== undefined
        ? `did you mean --${near}?`
        : `remove the flag${owner ? `, which is one of ${owner}` : ''}; to pass an argument that starts with "--", write a lone "--" before it`,
  });
}

function repeated(
  context: InstructionContext,
  flag: Word,
  { name, first }: { name: string; first: Word },
): CairnError {
  return new CairnError('FLAG_REPEATED', {
    message: `${context.keyword.toUpperCase()} takes --${name} only once`,
    at: flag.span,
    notes: [{ message: 'it was given here', at: first.span }],
    help: 'remove one of them',
  });
}
