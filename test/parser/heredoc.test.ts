import { describe, expect, test } from 'vitest';
import { failureOf, instructionsOf, only } from './parse.ts';

const bodies = (text: string): string[] =>
  instructionsOf(text).flatMap((one) => one.heredocs.map((heredoc) => heredoc.body));

describe('heredocs (H01 to H11)', () => {
  test.each([
    'ENV a=<<E',
    'CMD cat <<E',
    'RUN ["a", "<<E"]',
    'COPY ["<<E", "/a"]',
    'LABEL a <<E',
    'ONBUILD CMD <<E',
  ])('there is none in %s', (text) => {
    const all = instructionsOf(`${text}\nUSER next\n`);
    expect(all.map((one) => one.kind)).toContain('user');
    expect(all.flatMap((one) => one.heredocs)).toEqual([]);
  });
  test.each([
    ['<<EOF', { name: 'EOF', fd: 0, chomp: false, expand: true }],
    ['3<<EOF', { name: 'EOF', fd: 3, chomp: false, expand: true }],
    ['<<-EOF', { name: 'EOF', fd: 0, chomp: true, expand: true }],
    ['<< EOF', { name: 'EOF', fd: 0, chomp: false, expand: true }],
    ['<<"EOF"', { name: 'EOF', fd: 0, chomp: false, expand: false }],
    ["<<'EOF'", { name: 'EOF', fd: 0, chomp: false, expand: false }],
    ['<<E"O"F', { name: 'EOF', fd: 0, chomp: false, expand: false }],
    ['<<-\\EOF', { name: 'EOF', fd: 0, chomp: true, expand: true }],
  ])('RUN cat %s', (word, heredoc) => {
    const run = only('run', `RUN cat ${word} > x\nbody\nEOF\n`);
    expect(run.heredocs[0]).toMatchObject({ ...heredoc, body: 'body\n', bodyLine: 3 });
    expect(run.heredocs[0]!.word.text).toBe(word);
  });
  test.each(['<<<EOF', 'a<<EOF', '"<<EOF"', '<<', '\\<<EOF', "<<EOF 'open"])(
    'RUN cat %s has none',
    (word) => {
      expect(only('run', `RUN cat ${word}`).heredocs).toEqual([]);
    },
  );
  test('the terminator is the delimiter exactly, whatever its line end', () => {
    expect(bodies('RUN <<E\n E\nE \nEE\r\nE\r\n')).toEqual([' E\nE \nEE\r\n']);
    expect(bodies('RUN <<E\na\nE')).toEqual(['a\n']);
    expect(bodies('RUN <<E\nE\n')).toEqual(['']);
    expect(failureOf(() => bodies('RUN <<E\na\nE '))).toMatchObject({
      code: 'HEREDOC_UNTERMINATED',
      line: 2,
    });
    expect(failureOf(() => bodies('RUN <<-E\na\n  E')).code).toBe('HEREDOC_UNTERMINATED');
  });
  test('<<- takes leading tabs from the body and the terminator, not blanks', () => {
    const [heredoc] = only('run', 'RUN cat <<-E\n\t\ta\n \tb\n\tE\n').heredocs;
    expect(heredoc).toMatchObject({ body: 'a\n \tb\n', rawBody: '\t\ta\n \tb\n' });
  });
  test('the body is left alone: comments, continuations, directives', () => {
    expect(bodies('RUN <<E\n# a\nb \\\n\n\tc\nE\n')).toEqual(['# a\nb \\\n\n\tc\n']);
  });
  test('several on one line are read in their order', () => {
    expect(bodies('COPY <<A <<-"B" /x/\na\nA\n\tb $x\nB\n')).toEqual(['a\n', 'b $x\n']);
  });
  test('the escape character of the directive does not matter in heredoc words', () => {
    const [run] = instructionsOf('RUN cat <<E\\ F\na\nE F\n');
    expect(run!.heredocs[0]!.name).toBe('E F');
  });
});

describe('COPY and ADD with heredocs', () => {
  test('heredocs are files beside the paths', () => {
    const copy = only('copy', "COPY a <<B c <<'D' /x/\n1\nB\n2\nD\n");
    expect(copy.sources.map((word) => word.text)).toEqual(['a', 'c']);
    expect(copy.heredocs.map(({ name, body, expand }) => [name, body, expand])).toEqual([
      ['B', '1\n', true],
      ['D', '2\n', false],
    ]);
    expect(copy.destination.text).toBe('/x/');
  });
  test.each([
    ['COPY a <<E\nb\nE\n', 'HEREDOC_MISPLACED'],
    ['COPY << E /x\nb\nE\n', 'HEREDOC_MISPLACED'],
    ['COPY <<"E F" /x\nb\nE F\n', 'HEREDOC_MISPLACED'],
    ['COPY <<E\nb\nE\n', 'ARGUMENT_MISSING'],
  ])('%j fails with %s', (text, code) => {
    expect(failureOf(() => instructionsOf(text)).code).toBe(code);
  });
});

describe('RUN with heredocs', () => {
  test.each(['<<EOF', "<<'EOF'", '<<"EOF"', '  <<EOF  '])('a lone %s is the script', (word) => {
    const run = only('run', `RUN ${word}\necho $HOME\n  exit\nEOF\n`);
    expect(run.command).toMatchObject({ form: 'shell', text: 'echo $HOME\n  exit\n' });
    expect(run.script).toBeUndefined();
  });
  test('a lone <<- loses its tabs', () => {
    expect(only('run', 'RUN <<-EOF\n\ta\n\tEOF\n').command).toMatchObject({ text: 'a\n' });
  });
  test('a body that starts with #! is a file to run', () => {
    const run = only('run', 'RUN <<EOF\n#!/usr/bin/env python3\nprint(1)\nEOF\n');
    expect(run.command).toMatchObject({ form: 'shell', text: '/dev/pipes/EOF' });
    expect(run.script).toEqual({ path: '/dev/pipes/EOF', body: '#!/usr/bin/env python3\nprint(1)\n' });
  });
  test('with anything else on the line, line and bodies are put together for the shell', () => {
    const run = only('run', 'RUN --network=none cat <<-A >f && cat 3<<"B"\n\ta\n\tA\n#!b\nB\n');
    expect(run.command).toMatchObject({ text: 'cat <<-A >f && cat 3<<"B"\n\ta\nA\n#!b\nB' });
    expect(run.script).toBeUndefined();
  });
  test('a line with an open quote or substitution has no heredocs', () => {
    expect(failureOf(() => instructionsOf("RUN echo it's <<E\nFOO\nE\n")).code).toBe('UNKNOWN_INSTRUCTION');
  });
});

describe('ONBUILD with heredocs', () => {
  test('the trigger keeps the text and the bodies as written', () => {
    const onbuild = only('onbuild', 'ONBUILD  RUN cat <<-E <<F\n\ta\n\tE\nb\nF\n');
    expect(onbuild.trigger).toBe('RUN cat <<-E <<F\n\ta\nE\nb\nF');
    expect(onbuild.instruction).toMatchObject({ kind: 'run', command: { text: onbuild.trigger.slice(4) } });
  });
});
