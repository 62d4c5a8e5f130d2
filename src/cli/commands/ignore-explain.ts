import { join } from 'node:path';
import { explainIgnored, type IgnoreExplanation, type IgnoreVerdict } from '../../builder/index.ts';
import { printable } from '../../errors/index.ts';
import { hostPath } from '../build/build-options.ts';
import type { Command } from '../command.ts';

export const command: Command = {
  usage: '[OPTIONS] PATH [PATH...]',
  summary: 'Say why paths are, or are not, in a build context',
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  flags: [
    { name: 'context', short: 'C', kind: 'string', help: 'The build context (default: the current folder)' },
    {
      name: 'file',
      short: 'f',
      kind: 'string',
      help: 'The Dockerfile, whose own ignore file comes first (default: CONTEXT/Dockerfile)',
    },
    { name: 'json', kind: 'bool', help: 'Print JSON' },
  ],
  run: ({ host, flags, args }) => {
    const context = hostPath(host, flags.text('context') ?? '.');
    const file = flags.text('file');
    const dockerfile = file === undefined ? join(context, 'Dockerfile') : hostPath(host, file);
    const paths = args.map((path) => hostPath(host, path));
    const explanation = explainIgnored(context, paths, { dockerfile });
    host.stdout.write(flags.bool('json') ? jsonOf(explanation) : textOf(explanation));
    return 0;
  },
};

function textOf({ file, verdicts }: IgnoreExplanation): string {
  return verdicts.map((verdict) => `${printable(lineOf(file, verdict))}\n`).join('');
}

function lineOf(file: string | null, { path, exists, isIncluded, isLookedInto, by }: IgnoreVerdict): string {
  const verdict = isIncluded ? 'included' : 'ignored';
  const reason = by
    ? `by ${by.at.file}:${by.at.line} "${by.pattern}"`
    : file === null
      ? '(there is no ignore file)'
      : `(no pattern of ${file} matches)`;
  const notes = [
    ...(isLookedInto ? ['a later "!" pattern may bring files below it back'] : []),
    ...(exists ? [] : ['there is no such file']),
  ];
  return `${path}: ${verdict} ${reason}${notes.length > 0 ? `; ${notes.join('; ')}` : ''}`;
}

function jsonOf({ file, verdicts }: IgnoreExplanation): string {
  const document = verdicts.map(({ path, exists, isIncluded, by }) => ({
    path,
    exists,
    included: isIncluded,
    ignoreFile: file,
    ...(by ? { file: by.at.file, line: by.at.line, pattern: by.pattern } : {}),
  }));
  return `${JSON.stringify(document, null, 2)}\n`;
}
