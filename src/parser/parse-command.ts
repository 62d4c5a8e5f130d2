import { CairnError } from '../errors/index.ts';
import { parseFlags } from './flags.ts';
import type {
  CmdInstruction,
  Command,
  EntrypointInstruction,
  HealthcheckInstruction,
  ShellInstruction,
  Word,
} from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import type { CommandText, HealthTest, JsonArray, NodeArguments } from './node.ts';
import { parseDurationNs, parseInteger } from './numbers.ts';

/** A command in exec or shell form; no text at all is the shell form of an empty command, as in BuildKit. */
export function parseCommand(context: InstructionContext, args: NodeArguments): Command {
  const command = args as JsonArray | CommandText;
  if (command.form === 'json') {
    const argv = context.words(command).map((word) => word.text);
    return { form: 'exec', argv, span: context.spanOver(command.open, command.close) };
  }
  const [first] = command.pieces;
  const last = command.pieces.at(-1);
  const span = first && last ? context.spanOver(first, last) : context.textSpan;
  return { form: 'shell', text: context.text(command), span };
}

export function parseCmd(context: InstructionContext): CmdInstruction {
  parseFlags(context, {});
  return { ...context.base(), kind: 'cmd', command: parseCommand(context, context.node.args) };
}

export function parseEntrypoint(context: InstructionContext): EntrypointInstruction {
  parseFlags(context, {});
  return { ...context.base(), kind: 'entrypoint', command: parseCommand(context, context.node.args) };
}

/** SHELL takes the JSON form only. */
export function parseShell(context: InstructionContext): ShellInstruction {
  parseFlags(context, {});
  const command = parseCommand(context, context.node.args);
  const example = 'write SHELL ["/bin/bash", "-c"]';
  if (command.form === 'exec' && command.argv.length > 0) {
    return { ...context.base(), kind: 'shell', argv: command.argv };
  }
  if (command.form === 'exec' || command.text === '') {
    throw context.error('ARGUMENT_MISSING', 'SHELL needs at least one argument', example);
  }
  throw new CairnError('JSON_ARRAY_REQUIRED', {
    message: 'SHELL takes its arguments as a JSON array',
    at: command.span,
    notes: command.text.startsWith('[')
      ? [
          {
            message:
              'this does not parse as JSON: strings need double quotes, and no comma may follow the last one',
          },
        ]
      : [],
    help: example,
  });
}

/** HEALTHCHECK NONE, or HEALTHCHECK [flags] CMD command. */
export function parseHealthcheck(context: InstructionContext): HealthcheckInstruction {
  const { type, command } = context.node.args as HealthTest;
  if (type === undefined) {
    throw context.error(
      'ARGUMENT_MISSING',
      'HEALTHCHECK needs an argument',
      'write HEALTHCHECK CMD command, or HEALTHCHECK NONE',
    );
  }
  const none = { intervalNs: 0, timeoutNs: 0, startPeriodNs: 0, startIntervalNs: 0, retries: 0 };
  const kind = type.value.toUpperCase();
  if (kind === 'NONE') {
    if (command !== undefined && !isEmpty(command)) {
      throw context.error(
        'ARGUMENT_UNEXPECTED',
        'HEALTHCHECK NONE takes no arguments',
        'remove what follows NONE',
      );
    }
    return { ...context.base(), kind: 'healthcheck', test: 'none', ...none };
  }
  const flags = parseFlags(context, {
    interval: 'string',
    timeout: 'string',
    'start-period': 'string',
    'start-interval': 'string',
    retries: 'string',
  });
  if (kind !== 'CMD') {
    throw new CairnError('HEALTHCHECK_INVALID', {
      message: `HEALTHCHECK knows CMD and NONE, not "${type.value}"`,
      at: context.spanOf(type),
      help: `write HEALTHCHECK CMD ${context.source.slice(context.source.indexOf(type.value))}`,
    });
  }
  if (command === undefined || isEmpty(command)) {
    throw context.error(
      'ARGUMENT_MISSING',
      'HEALTHCHECK CMD needs a command',
      'write HEALTHCHECK CMD command',
    );
  }
  return {
    ...context.base(),
    kind: 'healthcheck',
    test: parseCommand(context, command),
    intervalNs: durationOf(flags.word('interval'), 'interval'),
    timeoutNs: durationOf(flags.word('timeout'), 'timeout'),
    startPeriodNs: durationOf(flags.word('start-period'), 'start-period'),
    startIntervalNs: durationOf(flags.word('start-interval'), 'start-interval'),
    retries: retriesOf(flags.word('retries')),
  };
}

function isEmpty(command: JsonArray | CommandText): boolean {
  return command.form === 'json' ? command.elements.length === 0 : command.pieces.length === 0;
}

function durationOf(word: Word | undefined, flag: string): number {
  if (word === undefined) return 0;
  const value = parseDurationNs(word.text);
  const hint = `write a number and a unit (ms, s, m, h): --${flag}=30s`;
  if (value === undefined) throw invalidValue(word, `"${word.text}" is no duration`, hint);
  if (value !== 0n && value < 1_000_000n) {
    throw invalidValue(word, `--${flag} is 0 or at least 1ms, not ${word.text}`, hint);
  }
  return Number(value);
}

function retriesOf(word: Word | undefined): number {
  if (word === undefined) return 0;
  const value = parseInteger(word.text);
  if (value !== undefined && value >= 0) return value;
  throw invalidValue(word, `--retries is a number from 0 up, not "${word.text}"`, 'write --retries=3');
}

function invalidValue(word: Word, message: string, help: string): CairnError {
  return new CairnError('FLAG_VALUE_INVALID', { message, at: word.span, help });
}
