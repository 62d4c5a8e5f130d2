import { chmodSync, linkSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BuildOptions } from '../../src/builder/index.ts';
import { ExplainedBuilds } from '../support/explained-builds.ts';
import { scratchFolder } from '../support/scratch.ts';

const files = ['src/app.ts', 'src/lib/a.ts', 'src/lib/b.ts', 'README.md'];

function project(): ExplainedBuilds {
  const builds = new ExplainedBuilds(scratchFolder());
  for (const path of files) builds.file(path, path);
  symlinkSync('app.ts', join(builds.context, 'src/link'));
  return builds;
}

const copySrc = 'FROM scratch\nCOPY src/ /app/\n';

/** Builds, changes something, and returns what the second build says about its last step. */
async function noteAfter(
  change: (builds: ExplainedBuilds) => void,
  before = copySrc,
  after = before,
  options: readonly [Partial<BuildOptions>, Partial<BuildOptions>] = [{}, {}],
): Promise<string> {
  const builds = project();
  await builds.build(before, options[0]);
  change(builds);
  const last = (await builds.build(after, options[1])).at(-1);
  return last?.note ?? '';
}

describe('the file that changed is named, with its attribute', () => {
  test.each<[string, (builds: ExplainedBuilds) => void, string]>([
    ['content', (b) => b.file('src/app.ts', 'new'), 'src/app.ts changed (content), 1 of 5 files'],
    [
      'mode',
      ({ context }) => chmodSync(join(context, 'src/lib/a.ts'), 0o700),
      'src/lib/a.ts changed (mode), 1 of 5 files',
    ],
    [
      'mode of a folder',
      ({ context }) => chmodSync(join(context, 'src/lib'), 0o700),
      'src/lib changed (mode), 1 of 5 files',
    ],
    [
      'link target',
      ({ context }) => {
        unlinkSync(join(context, 'src/link'));
        symlinkSync('lib', join(context, 'src/link'));
      },
      'src/link changed (link target), 1 of 5 files',
    ],
    [
      'type',
      (b) => {
        unlinkSync(join(b.context, 'src/link'));
        b.file('src/link', 'app.ts');
      },
      'src/link changed (type), 1 of 5 files',
    ],
    ['a new file', (b) => b.file('src/c.ts', ''), 'src/c.ts was added, 1 of 6 files'],
    [
      'a file that is gone',
      ({ context }) => rmSync(join(context, 'src/app.ts')),
      'src/app.ts was removed, 1 of 4 files',
    ],
    [
      'a new name',
      ({ context }) => renameSync(join(context, 'src/app.ts'), join(context, 'src/main.ts')),
      'src/main.ts was added, 2 of 5 files',
    ],
    [
      'a hard link between two files',
      ({ context }) => {
        unlinkSync(join(context, 'src/lib/b.ts'));
        linkSync(join(context, 'src/lib/a.ts'), join(context, 'src/lib/b.ts'));
      },
      'src/lib/a.ts changed (hard link), 2 of 5 files',
    ],
    [
      'several files: the first',
      (b) => {
        b.file('src/lib/b.ts', 'new');
        b.file('src/lib/a.ts', 'new');
      },
      'src/lib/a.ts changed (content), 2 of 5 files',
    ],
    [
      'what the ignore file takes away',
      (b) => b.file('.dockerignore', 'src/lib/b.ts\n'),
      'src/lib/b.ts was removed by a change of the ignore file, 1 of 4 files',
    ],
  ])('%s', async (_, change, expected) => {
    expect(await noteAfter(change)).toBe(expected);
  });

  test('of a large context the count is readable', async () => {
    const note = await noteAfter((builds) => {
      for (let i = 0; i < 1234; i++) builds.file(`src/many/${i}`, '');
    });
    expect(note).toBe('src/many was added, 1,235 of 1,240 files');
  });
});

describe('what else changed is named, with both values', () => {
  const nothing = () => undefined;
  test.each<[string, string, string, string]>([
    [
      'the destination',
      copySrc,
      'FROM scratch\nCOPY src/ /srv/\n',
      'the instruction was "COPY src/ /app/", is "COPY src/ /srv/"',
    ],
    [
      'the sources',
      copySrc,
      'FROM scratch\nCOPY src/lib /app/\n',
      'the instruction was "COPY src/ /app/", is "COPY src/lib /app/"',
    ],
    [
      'a flag',
      copySrc,
      'FROM scratch\nCOPY --chmod=700 src/ /app/\n',
      'the instruction was "COPY src/ /app/", is "COPY --chmod=700 src/ /app/"',
    ],
    [
      'an exclude pattern',
      copySrc,
      'FROM scratch\nCOPY --exclude=lib src/ /app/\n',
      'the instruction was "COPY src/ /app/", is "COPY --exclude=lib src/ /app/"',
    ],
    [
      'an environment variable',
      'FROM scratch\nENV D=a\nCOPY src/ /$D/\n',
      'FROM scratch\nENV D=b\nCOPY src/ /$D/\n',
      'environment variable D was "a", is "b"',
    ],
    [
      'a default of an argument',
      'FROM scratch\nARG D=src\nCOPY $D /\n',
      'FROM scratch\nARG D=src/lib\nCOPY $D /\n',
      'argument D was "src", is "src/lib"',
    ],
    [
      'a variable in a heredoc',
      'FROM scratch\nARG D=1\nCOPY <<EOF /f\nv$D\nEOF\n',
      'FROM scratch\nARG D=2\nCOPY <<EOF /f\nv$D\nEOF\n',
      'argument D was "1", is "2"',
    ],
    [
      'the text of a heredoc',
      'FROM scratch\nCOPY <<EOF /f\none\nEOF\n',
      'FROM scratch\nCOPY <<EOF /f\ntwo\nEOF\n',
      '<<EOF changed (content), 1 of 1 file',
    ],
    [
      'the working folder',
      'FROM scratch\nWORKDIR /a\nCOPY src s/\n',
      'FROM scratch\nWORKDIR /b\nCOPY src s/\n',
      'the working folder was "/a", is "/b"',
    ],
    [
      'a step above',
      'FROM scratch\nCOPY --chmod=700 src /a\nWORKDIR /w\n',
      'FROM scratch\nCOPY --chmod=711 src /a\nWORKDIR /w\n',
      'COPY --chmod=711 src /a above is new',
    ],
    [
      'a secret of an argument',
      'FROM scratch\nARG API_TOKEN=hunter2\nCOPY src /$API_TOKEN/\n',
      'FROM scratch\nARG API_TOKEN=hunter3\nCOPY src /$API_TOKEN/\n',
      'argument API_TOKEN changed (its value is not shown)',
    ],
  ])('%s', async (_, before, after, expected) => {
    expect(await noteAfter(nothing, before, after)).toContain(expected);
  });

  test.each<[string, Partial<BuildOptions>, Partial<BuildOptions>, string]>([
    ['a build argument', { buildArgs: { D: 'x' } }, { buildArgs: { D: 'y' } }, 'argument D was "x", is "y"'],
    [
      'the epoch',
      {},
      { timestamp: { kind: 'epoch', seconds: 7 } },
      'the option timestamp was "315532801", is "7"',
    ],
    [
      'kept times',
      {},
      { timestamp: { kind: 'preserve' } },
      'the option timestamp was "315532801", is "preserve"',
    ],
    ['no cache', {}, { noCache: true }, '--no-cache'],
  ])('%s', async (_, before, after, expected) => {
    const text = 'FROM scratch\nARG D=src\nCOPY src /$D\n';
    expect(await noteAfter(nothing, text, text, [before, after])).toBe(expected);
  });

  test('context modes', async () => {
    const change = ({ context }: ExplainedBuilds) => chmodSync(join(context, 'src/app.ts'), 0o664);
    const options = [{}, { contextModes: 'exact' }] as const;
    expect(await noteAfter(change, copySrc, copySrc, options)).toBe(
      'the option context modes was "normal", is "exact"',
    );
  });
});
