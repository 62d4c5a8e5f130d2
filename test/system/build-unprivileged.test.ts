import { spawnSync } from 'node:child_process';
import { chownSync, cpSync, lchownSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { basesUsed, cairnEngine, call, type Engine, importBases, mustCall } from '../compare/engine.ts';
import { type Fixture, stage, temporaryFolder } from '../compare/fixture.ts';
import { fixturesWithoutRun } from '../support/fixtures-without-run.ts';
import { storeForFile, type TestStore } from '../support/image-store.ts';
import { firstOf, skipBecause, unlessInstalled, unlessRoot } from '../support/skip-because.ts';

const checkout = resolve(import.meta.dirname, '../..');
const uid = 1000;
const asUser = [
  'setpriv',
  '--reuid',
  `${uid}`,
  '--regid',
  `${uid}`,
  '--clear-groups',
  '--bounding-set',
  '-all',
  '--inh-caps',
  '-all',
  '--no-new-privs',
];

describe('an ordinary user with no capabilities', () => {
  skipBecause(firstOf(unlessRoot(), unlessInstalled('setpriv')));
  const root = storeForFile();
  const user = unprivilegedEngine();
  // Files that only their owner's capabilities could read cannot be in an ordinary user's image.
  const fixtures = fixturesWithoutRun().filter(({ name, root }) => !root && name !== 'copy-modes');

  test.each(fixtures)('builds $name and gets the image ID that root gets', (fixture) => {
    const ids = [root, user].map((engine) => build(engine, fixture));
    expect(ids[1]).toBe(ids[0]);
    expect(ids[0]).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test('leaves a store that fsck finds clean and that only its owner can enter', () => {
    expect(call(user, ['fsck'])).toMatchObject({ status: 0 });
    const store = user.root;
    const mode = spawnSync('stat', ['-c', '%a %u', store], { encoding: 'utf8' }).stdout.trim();
    expect(mode).toBe(`700 ${uid}`);
  });

  function build(engine: Engine, fixture: Fixture): string {
    const context = stage(fixture);
    try {
      if (engine === user) chownAll(context);
      importBases(engine, basesUsed(context));
      return mustCall(engine, ['build', '-q', ...fixture.args, '.'], { cwd: context }).trim();
    } finally {
      rmSync(context, { recursive: true });
    }
  }
});

/** `cairn` as uid 1000, from a copy of the program when that user cannot read the checkout. */
function unprivilegedEngine(): TestStore {
  const folder = temporaryFolder('cairn-unprivileged-');
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  chownSync(folder, uid, uid);
  const entry = join(checkout, 'bin/cairn.js');
  const readable = spawnSync(asUser[0]!, [...asUser.slice(1), 'test', '-r', entry]).status === 0;
  const program = readable ? entry : copyProgram(join(folder, 'program'));
  const root = join(folder, 'store');
  return { ...cairnEngine(root), root, command: [...asUser, process.execPath, program] };
}

function copyProgram(target: string): string {
  mkdirSync(target);
  const list = spawnSync('npm', ['ls', '--omit=dev', '--all', '--parseable'], {
    cwd: checkout,
    encoding: 'utf8',
  });
  const packages = list.stdout.split('\n').filter((path) => path.startsWith(join(checkout, 'node_modules')));
  for (const path of [
    'bin',
    'dist',
    'package.json',
    ...packages.map((path) => path.slice(checkout.length + 1)),
  ]) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    cpSync(join(checkout, path), join(target, path), { recursive: true });
  }
  return join(target, 'bin/cairn.js');
}

function chownAll(folder: string): void {
  chownSync(folder, uid, uid);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }))
    lchownSync(join(folder, name), uid, uid);
}
