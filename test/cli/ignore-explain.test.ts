import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { cairn } from './support/test-host.ts';

function context(files: Readonly<Record<string, string>>): string {
  const cwd = scratchFolder();
  mkdirSync(join(cwd, 'docs'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text);
  return cwd;
}

const rules = '# comment\n\ndocs\n!docs/keep.md\n*.tmp\n';
const explain = (cwd: string, ...argv: readonly string[]) =>
  cairn({ root: join(cwd, 'store'), cwd }, 'ignore', 'explain', ...argv);

test('D14, D15: each path has the line and the pattern that decided', async () => {
  const cwd = context({ '.dockerignore': rules, 'a.tmp': '', 'docs/x': '', 'docs/keep.md': '' });
  const file = join(cwd, '.dockerignore');
  const outcome = await explain(cwd, 'docs', 'docs/x', 'docs/keep.md', join(cwd, 'a.tmp'), 'src/a.tmp', '.');
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  expect(outcome.stdout.split('\n')).toEqual([
    `docs: ignored by ${file}:3 "docs"; a later "!" pattern may bring files below it back`,
    `docs/x: ignored by ${file}:3 "docs"`,
    `docs/keep.md: included by ${file}:4 "!docs/keep.md"`,
    `a.tmp: ignored by ${file}:5 "*.tmp"`,
    `src/a.tmp: included (no pattern of ${file} matches); there is no such file`,
    `.: included (no pattern of ${file} matches)`,
    '',
  ]);
});

test("D01: the Dockerfile's own ignore file comes first; --json has the same facts", async () => {
  const cwd = context({ '.dockerignore': rules, 'app.Dockerfile.dockerignore': '**/x\n', 'docs/x': '' });
  const outcome = await explain(cwd, '--json', '-f', 'app.Dockerfile', 'docs/x', 'docs/y');
  const file = join(cwd, 'app.Dockerfile.dockerignore');
  expect(JSON.parse(outcome.stdout)).toEqual([
    {
      ...{ path: 'docs/x', exists: true, included: false, ignoreFile: file },
      ...{ file, line: 1, pattern: '**/x' },
    },
    { path: 'docs/y', exists: false, included: true, ignoreFile: file },
  ]);
});

test('without an ignore file everything is included; what lies outside is a mistake', async () => {
  const cwd = context({});
  expect((await explain(cwd, 'docs')).stdout).toBe('docs: included (there is no ignore file)\n');
  expect(await explain(cwd, '../x')).toMatchObject({ code: 2, stdout: '' });
  expect((await explain(cwd, '-C', 'nosuch', 'nosuch/x')).stderr).toContain('error[CONTEXT_NOT_FOUND]');
});

test('D16: a broken pattern is shown where it stands', async () => {
  const cwd = context({ '.dockerignore': 'a\n!\n' });
  const outcome = await explain(cwd, 'docs');
  expect(outcome.stderr).toContain('error[IGNORE_PATTERN_INVALID]');
  expect(outcome.stderr).toContain('.dockerignore:2:1');
});
