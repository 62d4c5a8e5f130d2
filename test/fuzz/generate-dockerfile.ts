import type { Random } from './random.ts';

const keywords = [
  ...[
    'FROM',
    'RUN',
    'COPY',
    'ADD',
    'ENV',
    'LABEL',
    'ARG',
    'CMD',
    'ENTRYPOINT',
    'SHELL',
    'EXPOSE',
    'VOLUME',
    'USER',
  ],
  ...['WORKDIR', 'STOPSIGNAL', 'HEALTHCHECK', 'ONBUILD', 'MAINTAINER', 'RUNN', ''],
];
const pieces = [
  ...[
    'a',
    'b1',
    '/x/y',
    '.',
    '=',
    '"',
    "'",
    '\\',
    '`',
    '$',
    '${',
    '}',
    ':-',
    '#',
    '<<',
    '<',
    '-',
    ' ',
    '\t',
    '[',
    ']',
  ],
  ...[
    '"a"',
    ',',
    '"b c"',
    '\\\\',
    '\u00a0',
    'é',
    '한',
    '😀',
    '\ud800',
    '\r',
    '\u2028',
    '\x00',
    '\x1b',
    '*',
    '?',
    '/',
    '%',
    '80/tcp',
  ],
];
const flags = [
  ...[
    '--from=a',
    '--link',
    '--chown=1:2',
    '--chmod=755',
    '--mount=type=cache,target=/a',
    '--mount=from=$x',
    '--network=none',
  ],
  ...[
    '--platform=$P',
    '--interval=5s',
    '--retries=x',
    '--',
    '--exclude="a b"',
    '--unknown',
    '--device=a,b=c',
    "--'x y'",
  ],
];
const delimiters = ['EOF', 'E', '"EOF"', "'E'", '-EOF', '- E', ' EOF'];

/** A text that is more or less a Dockerfile: its instructions come from the language, its words from trouble. */
export function generateDockerfile(random: Random): string {
  const head = random.chance(20)
    ? random.pick(['# escape=`\n', '# syntax=docker/dockerfile:1\n', '# check=skip=all\n', '\ufeff', '#\n'])
    : '';
  const start = random.chance(90) ? 'FROM scratch\n' : '';
  const text = head + start + random.many(8, () => generateInstruction(random)).join('');
  return random.chance(30) ? mutate(text, random) : text;
}

/** One word with quotes, escapes and variables. */
export function generateWord(random: Random): string {
  return random
    .many(6, () => {
      if (!random.chance(30)) return random.pick(pieces);
      const name = random.pick(['a', 'B_1', '1', '@', '', 'é']);
      const operator = random.pick([
        ':-',
        '-',
        ':+',
        '+',
        ':?',
        '?',
        '#',
        '##',
        '%',
        '%%',
        '/',
        '//',
        ':',
        '',
        '!',
      ]);
      return random.chance(40)
        ? `$${name}`
        : `\${${name}${operator}${random.chance(50) ? generateWord(random) : 'w'}}`;
    })
    .join('');
}

function generateInstruction(random: Random): string {
  const keyword = random.pick(keywords);
  const cased = random.chance(20) ? keyword.toLowerCase() : keyword;
  const given = random.chance(25) ? random.many(2, () => random.pick(flags)) : [];
  const trigger = keyword === 'ONBUILD' ? [random.pick(keywords)] : [];
  const words = random.many(4, () => generateArgument(random));
  const delimiter = random.chance(15) ? random.pick(delimiters) : undefined;
  if (delimiter !== undefined) words.push(`<<${delimiter}`);
  const separator = random.pick([' ', ' ', ' ', '\t', ' \\\n', ' \\\n  # c\n', '\\\n\n ', ' `\n']);
  const line = [cased, ...given, ...trigger, ...words].join(separator);
  const comment = random.chance(10) ? `# ${random.pick(['note', 'a text', 'check=skip=x', ''])}\n` : '';
  const body =
    delimiter === undefined
      ? ''
      : `${random.pick(['', 'x\n', '\ty $a\n', '#!/bin/sh\n', 'RUN\n'])}${delimiter.replace(/[-"' ]/g, '')}\n`;
  return `${comment}${line}${random.pick(['\n', '\r\n', '\n\n', ' \n'])}${body}`;
}

function generateArgument(random: Random): string {
  if (random.chance(15)) return JSON.stringify(random.many(3, () => generateWord(random)));
  return random.chance(30) ? `${random.pick(['a', 'b', 'k'])}=${generateWord(random)}` : generateWord(random);
}

function mutate(text: string, random: Random): string {
  const at = random.below(text.length + 1);
  const cut = random.below(4);
  return text.slice(0, at) + random.pick(['', '\n', '\\\n', ...pieces]) + text.slice(at + cut);
}
