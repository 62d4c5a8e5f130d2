import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type Diagnostic,
  failOnFindings,
  type LintOptions,
  lint,
  parseCheckOptions,
} from '../../src/parser/index.ts';
import { failureOf, marked, parse } from './parse.ts';

interface Case {
  readonly name: string;
  readonly dockerfile: readonly string[];
  readonly findings: readonly { rule: string; message: string; line: number; endLine: number }[];
}
const cases: Case[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'fixtures', 'lint', 'cases.json'), 'utf8'),
);

const isImageName = (text: string): boolean => /^[a-z0-9/.-]+(?::[\w.-]+)?$/.test(text);

function check(text: string, options: LintOptions = {}): string[] {
  return lint(parse(text), { isImageName, ...options }).diagnostics.map(
    ({ rule, message }) => `${rule}: ${message}`,
  );
}

// The findings were recorded from BuildKit (docker build --check), and adjusted to its newest source where that differs.
describe('the checks find what BuildKit finds', () => {
  const key = ({ rule, message, line, endLine }: Case['findings'][number]): string =>
    `${line}-${endLine} ${rule}: ${message}`;
  test.each(cases)('$name', ({ dockerfile, findings }) => {
    const { diagnostics } = lint(parse(`${dockerfile.join('\n')}\n`), { isImageName });
    const found = diagnostics.map(({ rule, message, span }) => ({
      rule,
      message,
      line: span.line,
      endLine: span.endLine,
    }));
    expect(found.map(key).sort()).toEqual(findings.map(key).sort());
  });
});

describe('what the build knows is used', () => {
  test('variables and the shell of the base image', () => {
    const text = 'FROM base\nENV A=$FROM_BASE$NOT\nCMD a';
    expect(check(text)).toHaveLength(3);
    const base = (): { env: string[]; shell: string[] } => ({
      env: ['FROM_BASE=1', 'NOTE=x'],
      shell: ['/bin/bash', '-c'],
    });
    expect(check(text, { base })).toEqual([
      "UndefinedVar: Usage of undefined variable '$NOT' (did you mean $NOTE?)",
    ]);
  });
  test('the platform of the base image', () => {
    const platform = { actual: 'linux/arm64/v8', expected: 'linux/amd64' };
    expect(check('FROM base', { base: () => ({ env: [], platform }) })).toEqual([
      'InvalidBaseImagePlatform: Base image base was pulled with platform "linux/arm64/v8", expected "linux/amd64" for current build',
    ]);
    expect(
      check('FROM base', { base: () => ({ env: [], platform: { ...platform, expected: 'linux/arm64' } }) }),
    ).toEqual([]);
  });
  test('build arguments, and automatic ones', () => {
    const text = 'ARG T\nFROM ${T:-scratch}\nARG V=$NOPE\nFROM --platform=$TARGETPLATFORM x';
    expect(check(text, { buildArgs: { V: '1' } })).toHaveLength(1);
    expect(check(text)).toHaveLength(2);
  });
  test('the ignore file', () => {
    const isIgnored = (path: string): boolean => path === 'secret/key' || path === '.';
    expect(
      check(
        'FROM scratch\nENV D=secret\nCOPY ./$D/key other /\nADD . https://x/y /\nCOPY --from=x secret/key /',
        { isIgnored },
      ),
    ).toEqual([
      'CopyIgnoredFile: Attempting to Copy file "secret/key" that is excluded by .dockerignore',
      'CopyIgnoredFile: Attempting to Add file "." that is excluded by .dockerignore',
    ]);
  });
  test('the stages that are built', () => {
    const text = 'FROM scratch AS a\nCMD a\nFROM scratch\nCMD b';
    expect(check(text, { stages: new Set([1]) })).toHaveLength(1);
  });
  test('triggers of the base image count, at FROM', () => {
    const [trigger] = parse('FROM a\nCMD b').stages[0]!.instructions;
    const { diagnostics } = lint(parse('\nFROM base'), { base: () => ({ env: [], triggers: [trigger!] }) });
    expect(diagnostics.map((one: Diagnostic) => [one.rule, one.span.line])).toEqual([
      ['JSONArgsRecommended', 2],
    ]);
  });
});

describe('the check directive (X17)', () => {
  test('error=true makes findings errors', () => {
    expect(lint(parse('# check=error=true\nFROM scratch\nCMD a')).isError).toBe(true);
    expect(lint(parse('# check=error=true\nFROM scratch\nCMD ["a"]')).isError).toBe(false);
    const harmless = lint(parse('FROM scratch\nCMD a'));
    expect(harmless.isError).toBe(false);
    expect(() => failOnFindings(harmless)).not.toThrow();
    const { code, message } = failureOf(() =>
      failOnFindings(lint(parse('# check=error=true\nFROM scratch\nCMD a'))),
    );
    expect([code, message]).toEqual(['CHECK_FAILED', 'build checks found something: JSONArgsRecommended']);
  });
  test.each(['skip', 'foo=bar', 'error=maybe', 'skip=a;;', 'skip=a;error=1;experimental=all;more=b=c'])(
    '%s',
    (value) => {
      if (value.startsWith('skip=a;error')) expect(parseCheckOptions(value).isError).toBe(true);
      else expect(failureOf(() => parseCheckOptions(value)).code).toBe('DIRECTIVE_INVALID');
    },
  );
  test('options given from outside replace it', () => {
    expect(check('# check=foo\nFROM scratch\nCMD a', { checks: parseCheckOptions('skip=all') })).toEqual([]);
  });
});

test('a finding names the word it is about', () => {
  const { diagnostics } = lint(parse('FROM scratch\nENV A=1 \\\n  B=x$NOPE'));
  expect([diagnostics[0]!.span.line, diagnostics[0]!.place!.line, marked(diagnostics[0]!.place!)]).toEqual([
    2,
    3,
    'x$NOPE',
  ]);
});

test('rules have pages', () => {
  const { diagnostics } = lint(parse('FROM scratch\nCMD a'));
  expect(diagnostics[0]!.url).toBe('https://docs.docker.com/go/dockerfile/rule/json-args-recommended/');
});

test('names in messages are quoted as Go quotes them', () => {
  expect(check('FROM scratch\nWORKDIR a\t\u00a0é\\\\')).toEqual([
    'WorkdirRelativePath: Relative workdir "a\\t\\u00a0é\\\\" can have unexpected results if the base image changes',
  ]);
});
