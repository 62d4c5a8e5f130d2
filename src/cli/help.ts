import type { Command } from './command.ts';
import { type Group, groups, type Verb, verbs } from './command-tree.ts';
import { type FlagSpec, flagHelp } from './flags/index.ts';

/** Options before the verb. */
export const globalFlags: readonly FlagSpec[] = [
  { name: 'debug', short: 'D', kind: 'bool', help: 'Show where internal errors come from' },
  {
    name: 'root',
    kind: 'string',
    label: 'dir',
    help: 'Folder of the store (default: $CAIRN_ROOT, else /var/lib/cairn for root and ~/.local/share/cairn for others)',
  },
  { name: 'version', short: 'v', kind: 'bool', help: 'Print the version' },
];

/** What `cairn --help` prints. */
export function rootHelp(columns: number): string {
  return [
    'Usage:  cairn [OPTIONS] COMMAND',
    'Builds container images from Dockerfiles: no daemon, the same digest every time, every layer explained',
    `Commands:\n${verbList(verbs)}`,
    `Management Commands:\n${verbList(groups)}`,
    `Global Options:\n${flagHelp(globalFlags, columns)}`,
    "Run 'cairn COMMAND --help' for more information on a command.",
  ].join('\n\n');
}

/** What `cairn image --help` prints. */
export function groupHelp(group: Group): string {
  return [
    `Usage:  cairn ${group.name} COMMAND`,
    group.summary,
    `Commands:\n${verbList(group.verbs)}`,
    `Run 'cairn ${group.name} COMMAND --help' for more information on a command.`,
  ].join('\n\n');
}

/** What `cairn build --help` prints. */
export function commandHelp(path: string, command: Command, columns: number): string {
  const aliases = otherSpellings(path);
  const options = flagHelp(command.flags, columns);
  return [
    usageLine(path, command),
    command.summary,
    ...(aliases.length > 1 ? [`Aliases:\n  ${aliases.join(', ')}`] : []),
    ...(options === '' ? [] : [`Options:\n${options}`]),
  ].join('\n\n');
}

/** `Usage:  cairn rmi [OPTIONS] IMAGE [IMAGE...]`. */
export function usageLine(path: string, command: Command): string {
  return `Usage:  cairn ${path} ${command.usage}`.trimEnd();
}

function verbList(list: readonly { readonly name: string; readonly summary: string }[]): string {
  const width = Math.max(...list.map(({ name }) => name.length)) + 3;
  return list.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}`).join('\n');
}

/** Every way to write a verb, the asked one included; found by the loader that they share. */
function otherSpellings(path: string): readonly string[] {
  const all: (readonly [string, Verb])[] = [
    ...groups.flatMap((group) => group.verbs.map((verb) => [`${group.name} ${verb.name}`, verb] as const)),
    ...verbs.map((verb) => [verb.name, verb] as const),
  ];
  const own = all.find(([spelling]) => spelling === path)?.[1];
  return all.filter(([, verb]) => own && verb.load === own.load).map(([spelling]) => `cairn ${spelling}`);
}
