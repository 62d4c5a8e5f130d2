import { CairnError } from '../errors/index.ts';
import { parseFlags } from './flags.ts';
import { parseHeredocWord } from './heredoc-word.ts';
import type { Device, RunInstruction, ShellForm, Word } from './instruction.ts';
import type { InstructionContext } from './instruction-context.ts';
import { checkMount, splitFields } from './mount.ts';
import { parseBoolean } from './numbers.ts';
import { parseCommand } from './parse-command.ts';
import { suggest } from './suggest.ts';

/** RUN, with heredocs worked into the command. */
export function parseRun(context: InstructionContext): RunInstruction {
  const flags = parseFlags(context, { mount: 'list', network: 'string', security: 'string', device: 'list' });
  const mounts = flags.list('mount');
  for (const mount of mounts) checkMount(mount);
  const network = oneOf(flags.word('network'), 'network', ['default', 'none', 'host']);
  const security = oneOf(flags.word('security'), 'security', ['sandbox', 'insecure']);
  const command = parseCommand(context, context.node.args);
  const work = command.form === 'shell' ? workInHeredocs(context, command) : { command };
  return {
    ...context.base(),
    kind: 'run',
    ...work,
    mounts,
    ...(network && { network }),
    ...(security && { security }),
    devices: flags.list('device').map(parseDevice),
  };
}

function workInHeredocs(
  context: InstructionContext,
  command: ShellForm,
): Pick<RunInstruction, 'command' | 'script'> {
  const [first] = context.heredocs;
  if (first === undefined) return { command };
  if (parseHeredocWord(command.text) === undefined) {
    const bodies = context.heredocs.map(({ rawBody, name }) => `\n${rawBody}${name}`);
    return { command: { ...command, text: command.text + bodies.join('') } };
  }
  // With #! the body is a program of its own; without, it is the shell's script, whatever its delimiter's quotes.
  if (!first.body.startsWith('#!')) return { command: { ...command, text: first.body } };
  const path = `/dev/pipes/${first.name}`;
  return { command: { ...command, text: path }, script: { path, body: first.body } };
}

function oneOf<T extends string>(word: Word | undefined, flag: string, allowed: readonly T[]): T | undefined {
  if (word === undefined) return undefined;
  const found = allowed.find((one) => one === word.text);
  if (found !== undefined) return found;
  const near = suggest(word.text, allowed);
  throw new CairnError('FLAG_VALUE_INVALID', {
    message: `--${flag} cannot be "${word.text}"`,
    at: word.span,
    notes: [{ message: `it is one of ${allowed.join(', ')}; variables are not expanded here` }],
    help: near === undefined ? `write --${flag}=${allowed[0]}` : `did you mean --${flag}=${near}?`,
  });
}

/** `name[,required[=BOOL]]` or `name=…,required=…`. */
function parseDevice(word: Word): Device {
  let name = '';
  let required = false;
  for (const field of splitFields(word, 'DEVICE_INVALID')) {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const value = equals < 0 ? undefined : field.slice(equals + 1);
    if (key === 'required') required = value === undefined || deviceBoolean(word, value);
    else if (key === 'name' && value !== undefined) {
      if (name !== '') throw invalidDevice(word, `the device is already named "${name}"`);
      name = value;
    } else if (name === '') name = field;
    else throw invalidDevice(word, `"${field}" is not an option of --device`);
  }
  return { name, required, word };
}

function deviceBoolean(word: Word, value: string): boolean {
  const parsed = parseBoolean(value);
  if (parsed === undefined) throw invalidDevice(word, `required is true or false, not "${value}"`);
  return parsed;
}

function invalidDevice(word: Word, message: string): CairnError {
  return new CairnError('DEVICE_INVALID', {
    message,
    at: word.span,
    help: 'write --device=vendor.com/class=name or --device=name=vendor.com/class=name,required',
  });
}
