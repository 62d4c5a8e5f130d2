import { describe, expect, test } from 'vitest';
import {
  closestName,
  type FlagSpec,
  flagHelp,
  parseCsv,
  parseFlags,
  parseKeyValues,
} from '../../src/cli/flags/index.ts';

const specs: readonly FlagSpec[] = [
  { name: 'interactive', short: 'i', kind: 'bool', help: 'Keep stdin' },
  { name: 'tty', short: 't', kind: 'bool', help: 'A terminal' },
  { name: 'rm', kind: 'bool' },
  { name: 'sig-proxy', kind: 'bool', default: 'true', help: 'Pass signals on' },
  { name: 'output', short: 'o', kind: 'string', help: 'Where to' },
  { name: 'env', short: 'e', kind: 'list', help: 'A variable' },
  { name: 'filter-stage', kind: 'csv', help: 'Stages' },
  { name: 'jobs', kind: 'int', help: 'How many' },
  { name: 'shm-size', kind: 'bytes', help: 'How much' },
];

/** Flags with a value, by name, and the arguments. */
function parse(argv: readonly string[], interspersed = true): unknown {
  const { flags, args, help } = parseFlags(argv, specs, { interspersed });
  const given = specs.filter(({ name }) => flags.has(name));
  return {
    ...Object.fromEntries(
      given.map(({ name, kind }) => [
        name,
        kind === 'bool'
          ? flags.bool(name)
          : kind === 'list' || kind === 'csv'
            ? flags.list(name)
            : flags.text(name),
      ]),
    ),
    ...(args.length > 0 ? { args } : {}),
    ...(help ? { help } : {}),
  };
}

describe('flags are parsed as Docker parses them', () => {
  test.each([
    ['combined short flags', ['-it', 'x'], { interactive: true, tty: true, args: ['x'] }],
    ['a value behind a short flag', ['-ofile'], { output: 'file' }],
    ['a value behind a short flag with =', ['-o=file'], { output: 'file' }],
    ['a value of its own', ['-o', 'file', '--env', 'A=1'], { output: 'file', env: ['A=1'] }],
    ['a value behind combined flags', ['-ite', 'A'], { interactive: true, tty: true, env: ['A'] }],
    ['--flag=value with = in the value', ['--env=A=b=c'], { env: ['A=b=c'] }],
    ['an empty value', ['--output='], { output: '' }],
    [
      'booleans with a value',
      ['--rm=false', '--sig-proxy=0', '-t=true'],
      { rm: false, 'sig-proxy': false, tty: true },
    ],
    ['the last of several values', ['-o', 'a', '-o', 'b'], { output: 'b' }],
    ['repeated lists', ['-e', 'A,B', '-e', 'C'], { env: ['A,B', 'C'] }],
    [
      'comma-separated lists',
      ['--filter-stage', 'a,b', '--filter-stage=c'],
      { 'filter-stage': ['a', 'b', 'c'] },
    ],
    ['flags after arguments', ['x', '-i', 'y'], { interactive: true, args: ['x', 'y'] }],
    ['-- ends the flags', ['-i', '--', '-t', 'x'], { interactive: true, args: ['-t', 'x'] }],
    ['a lone dash is an argument', ['-', '-i'], { interactive: true, args: ['-'] }],
    ['a value that looks like a flag', ['-o', '--rm'], { output: '--rm' }],
    ['--help', ['--help'], { help: true }],
    ['-h', ['-ih'], { interactive: true, help: true }],
  ])('%s', (_, argv, expected) => {
    expect(parse(argv)).toEqual(expected);
  });

  test('without interspersion, everything from the first argument on belongs to the command', () => {
    expect(parse(['-i', 'image', '-t', '--env', 'x'], false)).toEqual({
      interactive: true,
      args: ['image', '-t', '--env', 'x'],
    });
  });

  test.each([
    [['--foo'], 'unknown flag: --foo'],
    [['-ix'], "unknown shorthand flag: 'x' in -ix"],
    [['--output'], 'flag needs an argument: --output'],
    [['-ie'], "flag needs an argument: 'e' in -ie"],
    [
      ['--rm=maybe'],
      'invalid argument "maybe" for "--rm" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [
      ['--jobs', 'x'],
      'invalid argument "x" for "--jobs" flag: strconv.ParseInt: parsing "x": invalid syntax',
    ],
    [['--shm-size', 'much'], 'invalid argument "much" for "--shm-size" flag: invalid size: \'much\''],
    [['---x'], 'bad flag syntax: ---x'],
  ])('%j is refused', (argv, message) => {
    expect(() => parse(argv)).toThrow(message);
  });

  test('an unknown flag suggests a near one', () => {
    expect(() => parse(['--otput'])).toThrow(expect.objectContaining({ suggestion: '--output' }));
    expect(closestName('biuld', ['build', 'builder', 'history'])).toBe('build');
    expect(closestName('zzz', ['build'])).toBeUndefined();
  });

  test('a flag that the command does not declare is a mistake of the program', () => {
    expect(() => parseFlags([], specs).flags.bool('nosuch')).toThrow('no flag --nosuch');
  });
});

test.each([
  ['', []],
  ['a', ['a']],
  ['a,b,', ['a', 'b', '']],
  ['"a,b",c', ['a,b', 'c']],
  ['"a ""b""",c', ['a "b"', 'c']],
  ['a"b,c', ['a"b', 'c']],
])('%j is cut into fields as Go does', (text, fields) => {
  // Go's reader stops at the end of the line: a comma there begins an empty field.
  expect(parseCsv(text)).toEqual(fields);
});

test('key=value fields keep their order and case of values', () => {
  expect(parseKeyValues('Type=bind,src=/A,readonly')).toEqual([
    ['type', 'bind'],
    ['src', '/A'],
    ['readonly', undefined],
  ]);
});

test('help is aligned, wrapped and sorted, and hides what has no text', () => {
  expect(flagHelp(specs, 60)).toBe(
    [
      '  -e, --env list               A variable',
      '      --filter-stage strings   Stages',
      '  -i, --interactive            Keep stdin',
      '      --jobs int               How many',
      '  -o, --output string          Where to',
      '      --shm-size bytes         How much',
      '      --sig-proxy              Pass signals on (default',
      '                               true)',
      '  -t, --tty                    A terminal',
    ].join('\n'),
  );
});
