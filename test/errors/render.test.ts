import { describe, expect, test } from 'vitest';
import { CairnError, printable, renderError, renderWarning, type Span } from '../../src/errors/index.ts';

function spanOf(source: string, column: number, length: number, line = 7): Span {
  return { file: 'Dockerfile', line, column, length, endLine: line + source.split('\n').length - 1, source };
}

/** The source line and the caret line of an error at a place. */
function excerpt(source: string, column: number, length: number): string[] {
  const error = new CairnError('USAGE', { message: 'x', at: spanOf(source, column, length) });
  return renderError(error).split('\n').slice(2, 4);
}

describe('an error', () => {
  test('has what, where, why and what to do', () => {
    const error = new CairnError('COPY_SOURCE_NOT_FOUND', {
      message: 'COPY source "dist" is not in the build context',
      at: spanOf('COPY dist /app/', 6, 4),
      notes: [
        { message: 'this pattern excludes it', at: { ...spanOf('dist', 1, 4, 3), file: '.dockerignore' } },
        { message: 'a fact' },
      ],
      help: 'add "!dist" below that pattern',
    });
    expect(renderError(error)).toBe(
      [
        'error[COPY_SOURCE_NOT_FOUND]: COPY source "dist" is not in the build context',
        '  --> Dockerfile:7:6',
        ' 7 | COPY dist /app/',
        '   |      ^^^^',
        'note: .dockerignore:3 "dist": this pattern excludes it',
        'note: a fact',
        'help: add "!dist" below that pattern',
        '',
      ].join('\n'),
    );
  });
  test('without a place is its message', () => {
    expect(renderError(new CairnError('USAGE', { message: 'no' }))).toBe('error[USAGE]: no\n');
  });
  test('over several lines shows them, with carets under the first', () => {
    const error = new CairnError('USAGE', { message: 'x', at: spanOf('RUN a \\\n  b', 1, 7, 9) });
    expect(renderError(error)).toBe(
      'error[USAGE]: x\n   --> Dockerfile:9:1\n  9 | RUN a \\\n    | ^^^^^^^\n 10 |   b\n',
    );
  });
  test('over very many lines shows the first ones', () => {
    const error = new CairnError('USAGE', { message: 'x', at: spanOf('a\n'.repeat(50), 1, 1, 1) });
    expect(renderError(error).split('\n')).toHaveLength(13);
    expect(renderError(error)).toContain('   | ...\n');
  });
  test('can be coloured', () => {
    const error = new CairnError('USAGE', { message: 'x', at: spanOf('abc', 2, 1), help: 'h' });
    const plain = renderError(error);
    const colored = renderError(error, { color: true });
    expect(colored).toContain('\x1b[1;31merror[USAGE]\x1b[0m');
    expect(colored.replace(/\x1b\[[\d;]*m/g, '')).toBe(plain);
  });
});

describe('the carets stand under the marked text', () => {
  test.each([
    ['after tabs', 'COPY\ta\tb', 8, 1, [' 7 | COPY    a   b', '   |             ^']],
    ['after wide characters', 'ENV 値=値 b', 9, 1, [' 7 | ENV 値=値 b', '   |           ^']],
    ['on wide characters', 'RUN 値値', 5, 2, [' 7 | RUN 値値', '   |     ^^^^']],
    ['on emoji', 'RUN 😀 x', 5, 2, [' 7 | RUN 😀 x', '   |     ^^']],
    ['after combining characters', 'RUN e\u0301 x', 8, 1, [' 7 | RUN e\u0301 x', '   |       ^']],
    ['after control characters', 'a\x1bb', 3, 1, [' 7 | a\\x1bb', '   |      ^']],
    ['behind the end', 'RUN', 4, 1, [' 7 | RUN', '   |    ^']],
    ['on more than the line has', 'RUN a', 5, 99, [' 7 | RUN a', '   |     ^']],
  ])('%s', (_, source, column, length, lines) => {
    expect(excerpt(source, column, length)).toEqual(lines);
  });
  test('in a long line, of which a part is shown', () => {
    const [source, carets] = excerpt(`${'x'.repeat(500)}HERE${'y'.repeat(500)}`, 501, 4);
    expect(source!.length).toBeLessThan(130);
    expect(source!.slice(carets!.indexOf('^'), carets!.lastIndexOf('^') + 1)).toBe('HERE');
    const wide = excerpt(`${'値'.repeat(300)}HERE`, 301, 4);
    expect(wide[0]).toMatch(/^ 7 \| \.\.\.値+HERE$/);
  });
  test('at most to the end of what is shown', () => {
    const [source, carets] = excerpt('z'.repeat(1000), 1, 1000);
    expect(carets!.length).toBeLessThanOrEqual(source!.length);
  });
});

describe('text that is not ours', () => {
  test('cannot act on the terminal', () => {
    expect(printable('a\x1b[2Jb\r\x07\u202e\u009bc\ud800\td\n')).toBe(
      'a\\x1b[2Jb\\x0d\\x07\\u{202e}\\x9bc\\u{d800}\td\n',
    );
    const error = new CairnError('USAGE', {
      message: '\x1b]0;x\x07',
      at: spanOf('\x1b[31m', 1, 1),
      help: '\x08',
    });
    expect(renderError(error)).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  });
  test('cannot pose as a line of the message', () => {
    expect(renderError(new CairnError('USAGE', { message: 'a\nhelp: run this' }))).toBe(
      'error[USAGE]: a\n  help: run this\n',
    );
  });
});

test('a warning looks like an error', () => {
  expect(
    renderWarning({ rule: 'JSONArgsRecommended', message: 'use JSON', span: spanOf('CMD a', 1, 5) }),
  ).toBe('warning[JSONArgsRecommended]: use JSON\n  --> Dockerfile:7:1\n 7 | CMD a\n   | ^^^^^\n');
});
