import { CairnError, hasCode } from '../errors/index.ts';
import { type Command, type Invocation, UsageError } from './command.ts';
import { absentVerbs, type Group, groups, type Verb, verbs } from './command-tree.ts';
import { closestName, FlagError, type ParsedArguments, parseFlags } from './flags/index.ts';
import { commandHelp, globalFlags, groupHelp, rootHelp, usageLine } from './help.ts';
import type { Host } from './host.ts';
import { cairnVersion } from './version-number.ts';

/** Exit code of a command line that makes no sense. */
export const usageExit = 2;

/** Options that stand before the verb, and the rest. */
export interface GlobalArguments {
  readonly root: string | undefined;
  readonly debug: boolean;
  readonly version: boolean;
  readonly help: boolean;
  readonly rest: readonly string[];
}

/** Splits off the global options. @throws {FlagError} */
export function parseGlobal(argv: readonly string[]): GlobalArguments {
  const { flags, args, help } = parseFlags(argv, globalFlags, { interspersed: false });
  return {
    root: flags.text('root'),
    debug: flags.bool('debug'),
    version: flags.bool('version'),
    help,
    rest: args,
  };
}

/**
 * Finds the verb, parses its flags and runs it.
 * @returns the exit code
 * @throws what the verb throws
 */
export async function dispatch(global: GlobalArguments, host: Host): Promise<number> {
  if (global.version) return print(host, `cairn version ${cairnVersion}`);
  const [first, second, ...others] = global.rest;
  if (first === undefined || (first === 'help' && second === undefined))
    return print(host, rootHelp(host.stdout.columns));
  if (first === 'help') return dispatch({ ...global, rest: [second as string, ...others, '--help'] }, host);
  const rest = global.help ? [...global.rest.slice(1), '--help'] : global.rest.slice(1);
  const group = groups.find(({ name }) => name === first);
  if (group) return dispatchGroup(group, rest, host);
  const verb = verbs.find(({ name }) => name === first);
  if (verb) return runVerb(verb.name, await verb.load(), rest, host);
  return unknownCommand(host, first, { path: '', names: [...verbs, ...groups].map(({ name }) => name) });
}

async function dispatchGroup(group: Group, argv: readonly string[], host: Host): Promise<number> {
  const [word, ...rest] = argv;
  if (word === undefined || word === '--help' || word === '-h') return print(host, groupHelp(group));
  const name = group.aliases?.[word] ?? word;
  const verb: Verb | undefined = group.verbs.find((candidate) => candidate.name === name);
  if (verb) return runVerb(`${group.name} ${verb.name}`, await verb.load(), rest, host);
  return unknownCommand(host, word, {
    path: group.name,
    names: [...group.verbs.map((candidate) => candidate.name), ...Object.keys(group.aliases ?? {})],
  });
}

function unknownCommand(
  host: Host,
  word: string,
  known: { readonly path: string; readonly names: readonly string[] },
): number {
  const full = ['cairn', known.path, word].filter(Boolean).join(' ');
  const near = closestName(word, known.names);
  const why = absentVerbs[word];
  const lines = [
    `cairn: unknown command: ${full}`,
    ...(why
      ? [`\n${why}`]
      : near
        ? [`\nDid you mean '${full.slice(0, full.length - word.length)}${near}'?`]
        : []),
    `\nRun '${['cairn', known.path].filter(Boolean).join(' ')} --help' for more information`,
  ];
  host.stderr.write(`${lines.join('\n')}\n`);
  return usageExit;
}

async function runVerb(path: string, command: Command, argv: readonly string[], host: Host): Promise<number> {
  try {
    const parsed = parseVerb(command, argv);
    if (parsed.help) return print(host, commandHelp(path, command, Math.min(host.stdout.columns, 80)));
    checkCount(path, command, parsed.args.length);
    const own: Host = parsed.root === undefined ? host : { ...host, root: parsed.root };
    const invocation: Invocation = { host: own, flags: parsed.flags, args: parsed.args, verb: path };
    return await command.run(invocation);
  } catch (error) {
    if (host.enterNamespace !== null && hasCode(error, 'NAMESPACE_NEEDED')) return host.enterNamespace();
    if (!(error instanceof FlagError || error instanceof UsageError)) throw error;
    host.stderr.write(`${usageMessage(path, command, error)}\n`);
    return command.usageExitCode ?? usageExit;
  }
}

function parseVerb(
  command: Command,
  argv: readonly string[],
): ParsedArguments & { readonly root: string | undefined } {
  // `--root` is welcome behind the verb too: it is what people try first.
  const root = globalFlags.filter((flag) => flag.name === 'root').map(({ name, kind }) => ({ name, kind }));
  const parsed = parseFlags(argv, [...command.flags, ...root], {
    interspersed: command.interspersed ?? true,
  });
  return { ...parsed, root: parsed.flags.text('root') };
}

function checkCount(path: string, command: Command, count: number): void {
  const { min, max } = command.args;
  if (count >= min && count <= max) return;
  const plural = (number: number): string => `${number} argument${number === 1 ? '' : 's'}`;
  const wanted =
    min === max
      ? max === 0
        ? 'accepts no arguments'
        : `requires ${plural(min)}`
      : count < min
        ? `requires at least ${plural(min)}`
        : `requires at most ${plural(max)}`;
  throw new UsageError(`cairn: 'cairn ${path}' ${wanted}`);
}

function usageMessage(path: string, command: Command, error: FlagError | UsageError): string {
  const near = error instanceof FlagError && error.suggestion ? [`Did you mean ${error.suggestion}?`] : [];
  return [[error.message, ...near].join('\n'), usageLine(path, command), `See 'cairn ${path} --help'.`].join(
    '\n\n',
  );
}

function print(host: Host, text: string): number {
  host.stdout.write(`${text}\n`);
  return 0;
}

/** A feature of Docker's that Cairn does not have (yet) and whose absence would change the result. */
export function unsupported(what: string, help?: string): CairnError {
  return new CairnError('USAGE', {
    message: `${what} is not supported yet`,
    exitCode: usageExit,
    ...(help ? { help } : {}),
  });
}
