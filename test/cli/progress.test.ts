import { describe, expect, test } from 'vitest';
import type { BuildEvent, BuildStep } from '../../src/builder/index.ts';
import { chooseProgressMode, createProgress, type ProgressMode } from '../../src/cli/progress/index.ts';
import { LineSplitter } from '../../src/cli/progress/line-splitter.ts';
import { StepLog } from '../../src/cli/progress/step-log.ts';
import { CairnError } from '../../src/errors/index.ts';
import type { ImageId } from '../../src/oci/index.ts';
import { testHost } from './support/test-host.ts';

const steps: readonly BuildStep[] = [
  { id: 1, stage: 'base', index: 1, total: 2, name: 'FROM busybox' },
  { id: 2, stage: 'base', index: 2, total: 2, name: 'RUN make \\\n    all' },
  { id: 3, stage: '', index: 1, total: 1, name: 'COPY a b' },
];
const output = (
  id: number,
  at: number,
  text: string,
  stream: 'stdout' | 'stderr' = 'stdout',
): BuildEvent => ({
  type: 'step-output',
  id,
  at,
  stream,
  chunk: Buffer.from(text),
});

/** What a display of that kind writes for these events. */
async function shown(mode: ProgressMode, events: readonly BuildEvent[], failed = false): Promise<string> {
  const host = testHost({ root: '/nonexistent' });
  const progress = await createProgress(mode, host);
  for (const event of events) progress.onEvent(event);
  await progress.finish(failed);
  expect(host.written.stdout).toEqual([]);
  return Buffer.concat(host.written.stderr).toString('utf8');
}

const successful: readonly BuildEvent[] = [
  { type: 'plan', steps },
  { type: 'step-start', id: 1, at: 1000 },
  { type: 'step-end', id: 1, at: 1000, cached: true, note: 'from 2026-11-24T15:00:00Z' },
  { type: 'step-start', id: 2, at: 1000 },
  output(2, 1158, 'one\ntw'),
  output(2, 1200, 'o\n'),
  { type: 'step-start', id: 3, at: 1300 },
  { type: 'step-end', id: 3, at: 1350, cached: false },
  output(2, 2000, 'last'),
  { type: 'step-end', id: 2, at: 2200, cached: false, note: 'environment: A=1 became A=2' },
  { type: 'export', imageId: 'sha256:abc' as ImageId, tags: ['x:1', 'x:2'] },
];

const failure = new CairnError('RUN_FAILED', {
  message: 'process "/bin/sh -c make all" did not complete successfully: exit code: 3',
});
const failing: readonly BuildEvent[] = [
  { type: 'plan', steps },
  { type: 'step-start', id: 2, at: 0 },
  output(2, 120, 'line 1\n'),
  output(2, 121, 'oops', 'stderr'),
  { type: 'step-error', id: 2, at: 130, error: failure },
];

describe('plain progress', () => {
  test('numbers every line by its step', async () => {
    expect((await shown('plain', successful)).split('\n')).toEqual([
      '#1 [base 1/2] FROM busybox',
      '#1 cached: from 2026-11-24T15:00:00Z',
      '#1 CACHED',
      '',
      '#2 [base 2/2] RUN make      all',
      '#2 0.158 one',
      '#2 0.200 two',
      '#2 ...',
      '',
      '#3 [1/1] COPY a b',
      '#3 DONE 0.1s',
      '',
      '#2 [base 2/2] RUN make      all',
      '#2 1.200 last',
      '#2 not cached: environment: A=1 became A=2',
      '#2 DONE 1.2s',
      '',
      '#4 exporting to image',
      '#4 writing image sha256:abc done',
      '#4 naming to x:1 done',
      '#4 naming to x:2 done',
      '#4 DONE 0.0s',
      '',
    ]);
  });

  test('frames the log of a failed step', async () => {
    expect((await shown('plain', failing, true)).split('\n')).toEqual([
      '#2 [base 2/2] RUN make      all',
      '#2 0.120 line 1',
      '#2 0.130 oops',
      '#2 ERROR: process "/bin/sh -c make all" did not complete successfully: exit code: 3',
      '------',
      ' > [base 2/2] RUN make      all:',
      'line 1',
      'oops',
      '------',
      '',
    ]);
  });
});

describe('quiet progress', () => {
  test('says nothing about a build that works', async () => {
    expect(await shown('quiet', successful)).toBe('');
  });

  test('shows the whole log of a failed step', async () => {
    const many = Array.from({ length: 5000 }, (_, index) => `line ${index}\n`).join('');
    const text = await shown(
      'quiet',
      [...failing.slice(0, 2), output(2, 1, many), ...failing.slice(2)],
      true,
    );
    expect(text.split('\n')).toHaveLength(5000 + 2 + 4);
    expect(text).toContain('line 0\n');
    expect(text).toContain('line 4999\n');
  });
});

test('rawjson is one object a line, with text even where a chunk cuts a character', async () => {
  const [first, second] = [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1)];
  const event = (chunk: Uint8Array): BuildEvent => ({
    type: 'step-output',
    id: 2,
    at: 5,
    stream: 'stdout',
    chunk,
  });
  const lines = (await shown('rawjson', [event(first), event(second), failing[4] as BuildEvent]))
    .trimEnd()
    .split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { type: 'step-output', id: 2, at: 5, stream: 'stdout', text: '' },
    { type: 'step-output', id: 2, at: 5, stream: 'stdout', text: 'é' },
    { type: 'step-error', id: 2, at: 130, error: { code: 'RUN_FAILED', message: failure.message } },
  ]);
});

describe('the kind of progress', () => {
  test.each([
    [undefined, {}, ['stderr'], 'tty'],
    [undefined, {}, [], 'plain'],
    [undefined, {}, ['stdout'], 'plain'],
    [undefined, { CI: 'true' }, ['stderr'], 'plain'],
    [undefined, { TERM: 'dumb' }, ['stderr'], 'plain'],
    [undefined, { BUILDKIT_PROGRESS: 'rawjson' }, ['stderr'], 'rawjson'],
    ['plain', { BUILDKIT_PROGRESS: 'rawjson' }, ['stderr'], 'plain'],
    ['auto', { BUILDKIT_PROGRESS: 'rawjson' }, ['stderr'], 'tty'],
    ['tty', { CI: 'true' }, ['stderr'], 'tty'],
    ['none', {}, [], 'quiet'],
    ['quiet', {}, [], 'quiet'],
  ] as const)('--progress=%s with %j on terminals %j is %s', (flag, env, terminals, mode) => {
    expect(chooseProgressMode(flag, false, testHost({ root: '/', env, terminals }))).toBe(mode);
  });

  test('-q wins over everything', () => {
    expect(chooseProgressMode('plain', true, testHost({ root: '/' }))).toBe('quiet');
  });

  test.each([
    ['fancy', 'invalid progress mode "fancy"'],
    ['tty', '--progress=tty needs a terminal'],
  ])('%s without a terminal is refused', (flag, message) => {
    expect(() => chooseProgressMode(flag, false, testHost({ root: '/' }))).toThrow(message);
  });
});

describe('output of commands', () => {
  test.each([
    ['lines', ['a\nb\n'], ['a', 'b']],
    ['lines cut anywhere', ['a', '\nb', '\n'], ['a', 'b']],
    ['a last line without end', ['a\nb'], ['a', 'b']],
    ['CRLF', ['a\r\nb\r\n'], ['a', 'b']],
    ['a progress bar', ['10%\r50%\r100%\n'], ['100%']],
    ['colours', ['\x1b[31mred\x1b[0m\n'], ['red']],
    ['a title and a hyperlink', ['\x1b]0;title\x07x\x1b]8;;http://y\x1b\\z\n'], ['xz']],
    ['bells and deletes', ['a\x07\x7fb\tc\n'], ['ab\tc']],
    ['broken UTF-8', ['\xff'], ['ÿ']],
  ])('%s', (_, chunks, expected) => {
    const splitter = new LineSplitter();
    const lines = chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk)));
    expect([...lines, ...splitter.end()]).toEqual(expected);
  });

  test('a line without end does not grow without bound', () => {
    const splitter = new LineSplitter();
    const chunk = Buffer.alloc(50_000, 'x');
    const lines = [...splitter.push(chunk), ...splitter.push(chunk), ...splitter.push(chunk)];
    expect(lines.join('').length + splitter.partial.length).toBe(150_000);
    expect(splitter.partial.length).toBeLessThan(70_000);
  });

  test('a log keeps its end when it is too long, and says so', () => {
    const log = new StepLog();
    const line = `${'x'.repeat(999)}\n`;
    for (let count = 0; count < 10_000; count++) log.push('stdout', Buffer.from(line));
    log.push('stderr', Buffer.from('the end'));
    log.end();
    const lines = log.lines();
    expect(lines[0]).toMatch(/^… \d+ earlier lines are not shown …$/);
    expect(lines.at(-1)).toBe('the end');
    expect(lines.length).toBeLessThan(6000);
    expect(log.tail(2)).toEqual([line.trimEnd(), 'the end']);
  });
});
