import { describe, expect, test } from 'vitest';
import { expandWord } from '../../src/parser/index.ts';
import { failureOf, instructionsOf, only, parse } from './parse.ts';

describe('hostile text', () => {
  test('broken UTF-8 becomes replacement characters', () => {
    const bytes = Buffer.concat([
      Buffer.from('FROM a\nLABEL b="'),
      Buffer.from([0xff, 0xc3]),
      Buffer.from('"\n'),
    ]);
    expect(parse(bytes).stages[0]!.instructions[0]).toMatchObject({
      pairs: [{ value: { text: '"\ufffd\ufffd"' } }],
    });
  });
  test('NUL characters are text', () => {
    expect(only('run', 'RUN a\x00b').command).toMatchObject({ text: 'a\x00b' });
  });
  test('keywords are no properties of objects', () => {
    for (const word of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      expect(failureOf(() => instructionsOf(`${word} a`)).code).toBe('UNKNOWN_INSTRUCTION');
      expect(failureOf(() => instructionsOf(`COPY --${word} a b`)).code).toBe('UNKNOWN_FLAG');
      expect(failureOf(() => instructionsOf(`COPY --${word}=1 a b`)).code).toBe('UNKNOWN_FLAG');
    }
  });
  test('ONBUILD may not be piled up', () => {
    const text = 'ONBUILD '.repeat(20_000).replaceAll(/(.{8000})/g, '$1\\\n');
    expect(failureOf(() => instructionsOf(`${text}RUN a`)).code).toBe('ONBUILD_TRIGGER_INVALID');
  });
  test('deeply nested JSON is refused, not followed', () => {
    expect(failureOf(() => instructionsOf(`CMD ${'['.repeat(20_000)}${']'.repeat(20_000)}`)).code).toBe(
      'JSON_ARRAY_INVALID',
    );
  });
  test('substitutions nest to a limit', () => {
    const nested = (depth: number): string => '${a:-'.repeat(depth) + '}'.repeat(depth);
    expect(expandWord(nested(150), () => undefined).text).toBe('');
    expect(failureOf(() => expandWord(nested(100_000), () => undefined)).code).toBe('EXPANSION_INVALID');
  });
  test('an instruction has a limit, however it is spread over lines', () => {
    const line = `${'x'.repeat(60_000)}\\\n`;
    expect(instructionsOf(`RUN ${line.repeat(30)}y`)).toHaveLength(1);
    expect(failureOf(() => instructionsOf(`RUN ${line.repeat(40)}y`))).toMatchObject({
      code: 'DOCKERFILE_LINE_TOO_LONG',
      line: 2,
    });
  });
  test.each([
    ['a quoted word', (text: string) => `ENV a="${text}"`],
    ['a plain word', (text: string) => `ENV a=${text}`],
    ['escapes', (text: string) => `ENV a=${text.replaceAll('xx', '\\x')}`],
    ['a JSON string', (text: string) => `CMD ["${text}"]`],
    ['a flag', (text: string) => `COPY --from="${text}" a b`],
    ['a shell command', (text: string) => `RUN ${text} <<'E'`],
  ])('%s may be as long as that', (_, make) => {
    const long = `${'x'.repeat(60_000)}\\\n`.repeat(33);
    const instruction = make(long);
    const end = instruction.includes('<<') ? '\na\nE\n' : '';
    expect(instructionsOf(instruction + end)).toHaveLength(1);
  });
  test('a heredoc may be large', () => {
    const body = 'line of text\n'.repeat(200_000);
    expect(only('copy', `COPY <<E /x\n${body}E\n`).heredocs[0]!.body).toHaveLength(body.length);
  });
});
