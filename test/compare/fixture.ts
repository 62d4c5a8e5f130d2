import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

/**
 * A build context to compare. `fixture.json` beside the Dockerfile is optional; it and `prepare.sh` (which makes what
 * git cannot hold: links, modes, devices, odd names, empty folders) are not part of the context.
 */
export interface Fixture {
  readonly name: string;
  /** Absolute. */
  readonly folder: string;
  readonly about: string;
  /** Rows of the Dockerfile reference that it shows. */
  readonly rows: readonly string[];
  /** Further words for both build commands. */
  readonly args: readonly string[];
  /** Names of rules for documented differences. */
  readonly rules: readonly string[];
  /** Whether a RUN downloads something. */
  readonly network: boolean;
  /** Whether making the context needs root. */
  readonly root: boolean;
  /** Programs that making the context needs. */
  readonly programs: readonly string[];
}

/** The repository's own fixtures. */
export const fixturesFolder = resolve(import.meta.dirname, '../../fixtures/builds');

/** The fixtures in `folder`: itself when it holds a Dockerfile or fixture.json, else its subfolders that do. */
export function findFixtures(folder: string): Fixture[] {
  const absolute = resolve(folder);
  if (!existsSync(absolute)) throw new Error(`${folder} does not exist`);
  if (isFixture(absolute)) return [readFixture(absolute)];
  const below = readdirSync(absolute)
    .sort()
    .map((name) => join(absolute, name))
    .filter(isFixture);
  if (below.length === 0) throw new Error(`${folder} holds neither a Dockerfile nor folders with one`);
  return below.map(readFixture);
}

/** Reads one fixture by the name of its folder below fixtures/builds. */
export function fixtureNamed(name: string): Fixture {
  return readFixture(join(fixturesFolder, name));
}

function isFixture(folder: string): boolean {
  return existsSync(join(folder, 'Dockerfile')) || existsSync(join(folder, 'fixture.json'));
}

function readFixture(folder: string): Fixture {
  const file = join(folder, 'fixture.json');
  const given: Partial<Fixture> = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  return {
    name: basename(folder),
    folder,
    about: given.about ?? '',
    rows: given.rows ?? [],
    args: given.args ?? [],
    rules: given.rules ?? [],
    network: given.network ?? false,
    root: given.root ?? false,
    programs: given.programs ?? [],
  };
}

/** Why the fixture's context cannot be made here, or undefined when it can. */
export function obstacle(fixture: Fixture): string | undefined {
  if (fixture.root && process.getuid?.() !== 0) return 'making its context needs root';
  const missing = fixture.programs.find((program) => spawnSync('which', [program]).status !== 0);
  return missing === undefined ? undefined : `making its context needs the program ${missing}`;
}

/** Folder for large temporary files: in memory where the machine has /dev/shm. */
export function temporaryFolder(prefix: string): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), prefix));
}

/**
 * Makes the context in a fresh folder and returns its path; the caller removes it. Files get the modes that a checkout with
 * umask 022 gives them, whatever this checkout's was; then `prepare.sh` runs in it.
 */
export function stage(fixture: Fixture): string {
  const folder = temporaryFolder('cairn-context-');
  try {
    cpSync(fixture.folder, folder, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
    chmodTree(folder);
    const prepare = join(folder, 'prepare.sh');
    if (existsSync(prepare)) {
      const script = `umask 022\n${readFileSync(prepare, 'utf8')}`;
      rmSync(prepare);
      const run = spawnSync('sh', ['-eu', '-c', script], { cwd: folder, encoding: 'utf8' });
      if (run.status !== 0) throw new Error(`${fixture.name}/prepare.sh failed: ${run.stderr}`);
    }
    rmSync(join(folder, 'fixture.json'), { force: true });
    return folder;
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function chmodTree(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  chmodSync(path, stat.isDirectory() || stat.mode & 0o100 ? 0o755 : 0o644);
  if (stat.isDirectory()) for (const name of readdirSync(path)) chmodTree(join(path, name));
}
