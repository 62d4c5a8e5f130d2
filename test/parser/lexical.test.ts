import { describe, expect, test } from 'vitest';
import { failureOf, instructionsOf, marked, only, parse } from './parse.ts';

const sources = (text: string): string[] => instructionsOf(text).map((one) => one.source);

describe('lines (X01 to X11)', () => {
  test('a byte order mark is dropped, in bytes and in text', () => {
    const bytes = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from('FROM a\n')]);
    expect(parse(bytes).stages[0]!.from.image.text).toBe('a');
    expect(parse('\ufeffFROM a').stages[0]!.from.image.text).toBe('a');
  });
  test('CRLF ends a line, also behind a continuation', () => {
    expect(sources('RUN a \\\r\n  b\r\nRUN c\r\n')).toEqual(['RUN a   b', 'RUN c']);
  });
  test('a line may have 65535 bytes', () => {
    const fits = `RUN ${'x'.repeat(65_531)}`;
    expect(sources(`${fits}\nRUN b`)).toEqual([fits, 'RUN b']);
    expect(failureOf(() => sources(`${fits}x\n`))).toMatchObject({
      code: 'DOCKERFILE_LINE_TOO_LONG',
      line: 2,
    });
    expect(failureOf(() => sources(`RUN ${'é'.repeat(32_766)}`)).code).toBe('DOCKERFILE_LINE_TOO_LONG');
  });
  test.each([
    ['nothing', ''],
    ['blank lines', '\n \n'],
    ['comments', '# a\n#b\n'],
    ['directives', '# escape=`\n'],
  ])('a file of %s is refused', (_, text) => {
    expect(failureOf(() => parse(text)).code).toBe('DOCKERFILE_EMPTY');
  });
  test('a comment is a whole line, is not continued, and # elsewhere is data', () => {
    expect(sources('# no \\\nRUN a # b\n\u3000# c\nRUN d')).toEqual(['RUN a # b', 'RUN d']);
  });
  test('leading blanks of any kind are dropped before an instruction', () => {
    expect(sources('\t\u00a0 RUN a')).toEqual(['RUN a']);
  });
  test.each(['run a', 'RuN\ta', 'RUN\v\f a'])(
    'the keyword has any case and any blanks behind it: %j',
    (text) => {
      expect(only('run', text).command).toMatchObject({ form: 'shell', text: 'a' });
    },
  );
  test.each([
    ['a space', 'RUN a \\\nb', 'a b'],
    ['nothing', 'RUN a\\\nb', 'ab'],
    ['leading blanks', 'RUN a\\\n   b', 'a   b'],
    ['blanks behind the escape', 'RUN a \\ \t\nb', 'a b'],
    ['comments', 'RUN a \\\n# x\n  # y\nb', 'a b'],
    ['a continuation alone', 'RUN a \\\n\\\nb', 'a b'],
    ['blank lines', 'RUN a \\\n\n \t\nb', 'a b'],
    ['the end of the file', 'RUN a b\\', 'a b'],
    ['comments and the end of the file', 'RUN a b \\\n# x', 'a b'],
  ])('a continuation joins with %s', (_, text, joined) => {
    expect(only('run', text).command).toMatchObject({ text: joined });
  });
  test('a doubled escape, and a tripled one, is no continuation', () => {
    expect(sources('RUN a \\\\\nRUN b \\\\\\\nRUN c')).toEqual(['RUN a \\\\', 'RUN b \\\\\\', 'RUN c']);
  });
  test('a blank line in a continuation is warned about at the last line of the instruction', () => {
    const { warnings } = parse('FROM a\nRUN b \\\n\n  c\nRUN d\n');
    expect(warnings.map(({ rule, span }) => [rule, span.line])).toEqual([['NoEmptyContinuation', 4]]);
  });
});

describe('directives (X12 to X17)', () => {
  test.each(['# escape=`', '#escape = `  ', '#  EsCaPe=`', '# syntax=docker/dockerfile:1\n# escape=`'])(
    '%j is one',
    (text) => {
      expect(parse(`${text}\nFROM a\n`).directives.escape).toBe('`');
    },
  );
  test.each([
    '\n# escape=`',
    '# note\n# escape=`',
    '# foo=bar\n# escape=`',
    'FROM b\n# escape=`',
    '#\n# escape=`',
  ])('%j is too late for one', (text) => {
    expect(parse(`${text}\nFROM a\n`).directives.escape).toBe('\\');
  });
  test('a directive may not be repeated', () => {
    expect(failureOf(() => parse('# escape=`\n# escape=\\\nFROM a'))).toMatchObject({
      code: 'DIRECTIVE_INVALID',
      line: 2,
    });
  });
  test('only a backslash and a backtick escape', () => {
    expect(failureOf(() => parse('# escape=x\nFROM a'))).toMatchObject({
      code: 'DIRECTIVE_INVALID',
      line: 1,
    });
  });
  test('the backtick continues lines, and the backslash then does not', () => {
    const [first, second] = parse('# escape=`\nFROM a\nRUN b `\n c\nRUN d \\\n').stages[0]!.instructions;
    expect([first!.source, second!.source]).toEqual(['RUN b  c', 'RUN d \\']);
  });
  test.each([
    ['docker/dockerfile:1', '# syntax=docker/dockerfile:1\n'],
    [
      'docker.io/docker/dockerfile-upstream:master',
      '#!/bin/x\n# syntax = docker.io/docker/dockerfile-upstream:master\n',
    ],
  ])('the frontend %s is accepted', (image, text) => {
    expect(parse(`${text}FROM a`).directives.syntax?.text).toBe(image);
  });
  test.each([
    '# syntax=other/frontend\nFROM a',
    '// syntax=other/frontend\nanything',
    '{"syntax": "other/frontend"}',
    '#!x\n#syntax=other/frontend x\nFROM a',
  ])('another frontend is refused: %j', (text) => {
    expect(failureOf(() => parse(text)).code).toBe('SYNTAX_UNSUPPORTED');
  });
  test('the check directive is kept', () => {
    expect(parse('# check=skip=all;error=true\nFROM a').directives.check?.text).toBe('skip=all;error=true');
  });
});

describe('flags (X18, X19)', () => {
  test('flags end at the first argument and at a lone --', () => {
    const copy = only('copy', 'COPY --link --from=a b --from=c');
    expect(copy.sources.map((word) => word.text)).toEqual(['b']);
    expect(copy.destination.text).toBe('--from=c');
    expect(only('copy', 'COPY -- --link a').sources[0]!.text).toBe('--link');
    expect(only('run', 'RUN -- --flag').command).toMatchObject({ text: '--flag' });
  });
  test('quotes and escapes in flags protect blanks and are removed', () => {
    const { exclude } = only('copy', `COPY --exclude="a b" --exclude='c d'e --exclude=f\\ g "--exclude=h" i`);
    expect(exclude.map((word) => word.text)).toEqual(['a b', 'c de', 'f g']);
  });
  test.each([
    ['COPY --fron=a b c', 'UNKNOWN_FLAG'],
    ['COPY --from=a --from=b c d', 'FLAG_REPEATED'],
    ['COPY --link --link c d', 'FLAG_REPEATED'],
    ['COPY --from c d', 'FLAG_VALUE_MISSING'],
    ['COPY --link= c d', 'FLAG_VALUE_MISSING'],
    ['COPY --link=yes c d', 'FLAG_VALUE_INVALID'],
    ['ADD --from=x c d', 'UNKNOWN_FLAG'],
    ['COPY --checksum=x c d', 'UNKNOWN_FLAG'],
    ['ENV --x a=b', 'UNKNOWN_FLAG'],
    ['CMD --x a', 'UNKNOWN_FLAG'],
    ['ONBUILD --x RUN a', 'UNKNOWN_FLAG'],
  ])('%s fails with %s', (text, code) => {
    expect(failureOf(() => instructionsOf(text))).toMatchObject({ code, line: 2 });
  });
  test.each([
    ['--link', true],
    ['--link=true', true],
    ['--link=FALSE', false],
    ['', false],
  ])('the switch %j is %j', (flag, value) => {
    expect(only('copy', `COPY ${flag} a b`).link).toBe(value);
  });
  test('ARG and STOPSIGNAL do not look at flags, as in BuildKit', () => {
    expect(only('arg', 'ARG --x A').args.map((arg) => arg.name.text)).toEqual(['A']);
    expect(only('stopsignal', 'STOPSIGNAL --x TERM').signal.text).toBe('TERM');
  });
});

describe('JSON form (X20, X21)', () => {
  test.each([
    ['CMD ["a", "b c"]', ['a', 'b c']],
    ['CMD [ ]', []],
    ['CMD  [\t"a\\u0041\\n" ]  ', ['aA\n']],
    ['CMD ["\\ud800"]', ['\ufffd']],
  ])('%j is the exec form', (text, argv) => {
    expect(only('cmd', text).command).toMatchObject({ form: 'exec', argv });
  });
  test.each(["CMD ['a']", 'CMD ["a",]', 'CMD ["a"', 'CMD ["a"] b', 'CMD [a]', 'CMD echo ["a"]'])(
    '%j is the shell form',
    (text) => {
      expect(only('cmd', text).command).toMatchObject({ form: 'shell', text: text.slice(4) });
    },
  );
  test.each([
    ['RUN ["a", 1]', '1'],
    ['RUN [["a"]]', '['],
    ['CMD ["a", null]', 'null'],
    ['COPY ["a", {}]', '{}'],
    ['VOLUME [true]', 'true'],
    ['HEALTHCHECK CMD [1]', '1'],
  ])('%j holds something else than strings: an error at %j', (text, place) => {
    try {
      instructionsOf(text);
    } catch (error) {
      expect(error).toMatchObject({ code: 'JSON_ARRAY_INVALID' });
      expect(marked((error as { at: Parameters<typeof marked>[0] }).at)).toBe(place);
      return;
    }
    throw new Error('accepted');
  });
  test('COPY and VOLUME fall back to words, SHELL to an error', () => {
    expect(only('copy', 'COPY ["a", "b c"]').destination.text).toBe('b c');
    expect(only('copy', 'COPY [a b]').sources[0]!.text).toBe('[a');
    expect(only('volume', "VOLUME ['/a']").paths.map((word) => word.text)).toEqual(["['/a']"]);
    expect(failureOf(() => instructionsOf('SHELL /bin/sh -c')).code).toBe('JSON_ARRAY_REQUIRED');
  });
});

describe('words (X22 to X25)', () => {
  test('FROM, EXPOSE, COPY and VOLUME split at every blank, quoted or not', () => {
    expect(only('copy', 'COPY "a b" c').sources.map((word) => word.text)).toEqual(['"a', 'b"']);
    expect(only('expose', 'EXPOSE 80\t 81').ports.map((word) => word.text)).toEqual(['80', '81']);
    expect(only('volume', 'VOLUME /a  /b').paths.map((word) => word.text)).toEqual(['/a', '/b']);
  });
  test.each([
    [
      'ENV a=b c="d e" f=\\ g',
      [
        ['a', 'b'],
        ['c', '"d e"'],
        ['f', '\\ g'],
      ],
    ],
    [
      "LABEL 'a b'=c d=''",
      [
        ["'a b'", 'c'],
        ['d', "''"],
      ],
    ],
    ['ENV a=b\\', [['a', 'b']]],
    ['ENV a=', [['a', '']]],
    ['ENV a="b', [['a', '"b']]],
    ['ENV a=b=c', [['a', 'b=c']]],
  ])('%j has pairs', (text, pairs) => {
    const [instruction] = instructionsOf(text);
    if (instruction?.kind !== 'env' && instruction?.kind !== 'label') throw new Error('no pairs');
    expect(instruction.pairs.map(({ key, value }) => [key.text, value.text])).toEqual(pairs);
    expect(instruction.pairs.every((pair) => !pair.legacy)).toBe(true);
  });
  test.each([
    ['ENV ONE TWO= THREE=x', 'ONE', 'TWO= THREE=x'],
    ['ENV a   b  c ', 'a', 'b  c'],
    ['LABEL a "b c"', 'a', '"b c"'],
  ])('%j is one pair of the old form', (text, key, value) => {
    const [instruction] = instructionsOf(text);
    expect(instruction).toMatchObject({
      pairs: [{ key: { text: key }, value: { text: value }, legacy: true }],
    });
  });
  test.each([
    ['ENV a=b c', 'PAIR_INVALID'],
    ['ENV a', 'ARGUMENT_MISSING'],
    ['ENV', 'ARGUMENT_MISSING'],
    ['ENV =b', 'PAIR_INVALID'],
    ['LABEL a=b =c', 'PAIR_INVALID'],
    ['ARG =b', 'PAIR_INVALID'],
    ['ARG', 'ARGUMENT_MISSING'],
  ])('%j fails with %s', (text, code) => {
    expect(failureOf(() => instructionsOf(text)).code).toBe(code);
  });
  test('ARG takes names with and without defaults, and describes them from the comment above', () => {
    const { args } = only('arg', '# B what b is\nARG A B=1 C="x y" D=');
    expect(args.map(({ name, value, description }) => [name.text, value?.text, description])).toEqual([
      ['A', undefined, undefined],
      ['B', '1', 'what b is'],
      ['C', '"x y"', undefined],
      ['D', '', undefined],
    ]);
  });
});

describe('order and places (X26 to X29)', () => {
  test.each([
    ['RUN a', 'NO_BUILD_STAGE'],
    ['ARG A\nENV a=b\nFROM a', 'NO_BUILD_STAGE'],
    ['ARG A', 'NO_BUILD_STAGE'],
    ['FROM a\nFOO b', 'UNKNOWN_INSTRUCTION'],
    ['FOO b', 'UNKNOWN_INSTRUCTION'],
    ['\\\n\n', 'UNKNOWN_INSTRUCTION'],
  ])('%j fails with %s', (text, code) => {
    expect(failureOf(() => parse(text)).code).toBe(code);
  });
  test('ARGs before the first FROM are global', () => {
    const { globalArgs, stages } = parse('# x\nARG A=1\nARG B\nFROM a\nARG C');
    expect(globalArgs.flatMap((one) => one.args.map((arg) => arg.name.text))).toEqual(['A', 'B']);
    expect(stages[0]!.instructions).toHaveLength(1);
  });
  test('an error names the line of the word, also behind continuations', () => {
    expect(failureOf(() => parse('FROM a\nCOPY --link \\\n  # note\n  --fron=b \\\n  c d'))).toMatchObject({
      line: 4,
    });
  });
  test('a word’s span covers it in the source, wherever the line was joined', () => {
    const { sources, destination } = only('copy', 'COPY a \\\n# x\n   bc\\\nde \\\n f');
    expect(sources.map(({ span }) => [span.line, span.column, marked(span)])).toEqual([
      [2, 6, 'a'],
      [4, 4, 'bc\\'],
    ]);
    expect(sources[1]!.span.endLine).toBe(5);
    expect([destination.span.line, marked(destination.span)]).toEqual([6, 'f']);
  });
  test('an instruction’s span reaches to the end of its heredocs', () => {
    const { span } = only('run', 'RUN <<EOF\na\nEOF\n');
    expect([span.line, span.endLine, span.source]).toEqual([2, 4, 'RUN <<EOF\na\nEOF']);
  });
  test('comments above an instruction belong to it; an empty one cuts those before off', () => {
    expect(only('run', '# a\n# b\n#\n# c\n\n# d\nRUN x').comments).toEqual(['c', 'd']);
  });
});
