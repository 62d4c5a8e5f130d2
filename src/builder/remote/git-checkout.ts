import { existsSync, mkdirSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { redactUrl } from '../../registry/http/index.ts';
import { GitFailure, type GitProgram, gitFailed } from './git-program.ts';
import type { GitTarget } from './git-refs.ts';
import type { GitRepository } from './git-repository.ts';
import { cleanFolder, type GitSource } from './git-url.ts';

export interface CheckoutRequest {
  readonly git: GitProgram;
  readonly source: GitSource;
  readonly target: GitTarget;
  readonly commit: string;
  readonly repository: GitRepository;
  /** Where the files go; made here. */
  readonly folder: string;
  /** A private folder. */
  readonly scratch: string;
}

/**
 * Writes the files of a commit and of its submodules. Modes are 0644 and 0755 whatever the umask. Without `keepGitDir` nothing of git
 * is left: also not the `.git` files of submodules, which BuildKit leaves with a random path of its host in them.
 * @throws {CairnError} GIT_FAILED
 */
export async function checkOut(request: CheckoutRequest): Promise<void> {
  const { git, source, folder, scratch } = request;
  const keep = keepsGitDir(source);
  const gitDir = keep ? join(folder, '.git') : join(scratch, 'checkout.git');
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  try {
    await prepareGitDir(request, gitDir);
    const inTree = ['--git-dir', gitDir, '--work-tree', folder];
    await git.run([...inTree, 'read-tree', '--reset', '-u', request.commit], folder);
    const hasSubmodules = source.submodules !== false && existsSync(join(folder, '.gitmodules'));
    if (hasSubmodules) await fetchSubmodules(git, inTree, folder, gitDir);
    if (keep) await settleGitDir(git, gitDir, folder);
    else if (hasSubmodules) removeGitFiles(folder);
  } catch (error) {
    throw gitFailed('check out', source.remote, error);
  }
  if (!keep) rmSync(gitDir, { recursive: true, force: true });
}

/** A `.git` is kept in the root of a repository only. */
export function keepsGitDir({ keepGitDir, subdir = '' }: GitSource): boolean {
  return keepGitDir === true && cleanFolder(subdir) === '';
}

/** A git dir of one commit that takes its objects from the cached repository. */
async function prepareGitDir(request: CheckoutRequest, gitDir: string): Promise<void> {
  const { git, source, target, commit, repository, scratch } = request;
  const format = commit.length === 64 ? 'sha256' : 'sha1';
  rmSync(gitDir, { recursive: true, force: true });
  await git.run(['--git-dir', gitDir, 'init', '--quiet', `--object-format=${format}`], scratch);
  writeFileSync(join(gitDir, 'objects', 'info', 'alternates'), `${repository.path}/objects\n`);
  // Nothing before this commit, however much the cached repository has.
  if (/^parent /m.test(headerOf(await repository.commitText(commit))))
    writeFileSync(join(gitDir, 'shallow'), `${commit}\n`);
  writeFileSync(join(gitDir, 'HEAD'), `${commit}\n`);
  const config = (key: string, value: string) => git.run(['--git-dir', gitDir, 'config', key, value]);
  await config('core.bare', 'false');
  // Submodules may be named relative to it.
  await config('remote.origin.url', source.remote);
  if (target.refName !== undefined)
    await git.run(['--git-dir', gitDir, 'update-ref', '--no-deref', target.refName, target.objectId]);
}

function headerOf(commitText: string): string {
  return commitText.slice(0, commitText.indexOf('\n\n'));
}

async function fetchSubmodules(
  git: GitProgram,
  inTree: readonly string[],
  folder: string,
  gitDir: string,
): Promise<void> {
  const update = [...inTree, 'submodule', '--quiet', 'update', '--init', '--recursive'];
  try {
    await git.run([...update, '--depth=1'], folder);
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    // Not every server gives a commit that no branch ends with.
    rmSync(join(gitDir, 'modules'), { recursive: true, force: true });
    await git.run([...inTree, 'submodule', '--quiet', 'deinit', '--all', '--force'], folder);
    await git.run(update, folder);
  }
}

/** git does not let a repository have files of that name, so all of them are its own. */
function removeGitFiles(folder: string): void {
  const visit = (path: Buffer) => {
    for (const entry of readdirSync(path, { withFileTypes: true, encoding: 'buffer' })) {
      const inner = Buffer.concat([path, Buffer.from('/'), entry.name]);
      if (entry.name.equals(gitName)) unlinkSync(inner);
      else if (entry.isDirectory()) visit(inner);
    }
  };
  visit(Buffer.from(folder));
}

const gitName = Buffer.from('.git');

/**
 * Makes a git dir say nothing but the commit, its ref and its remote: what depends on the moment, the server or the machine goes
 * (stat data in the index, reflogs, how objects were packed, where other branches are).
 */
async function settleGitDir(
  git: GitProgram,
  gitDir: string,
  workTree: string,
  isModule = false,
): Promise<void> {
  const run = (...args: readonly string[]) =>
    git.run(['--git-dir', gitDir, '--work-tree', workTree, ...args], workTree);
  for (const nested of modulesOf(gitDir)) {
    const nestedTree = join(nested, (await git.run(['--git-dir', nested, 'config', 'core.worktree'])).trim());
    await settleGitDir(git, nested, nestedTree, true);
  }
  const commit = (await run('rev-parse', 'HEAD')).trim();
  if (isModule) {
    // Where its branches happened to be is not part of the commit.
    for (const name of ['refs/heads', 'refs/remotes', 'refs/tags', 'packed-refs'])
      rmSync(join(gitDir, name), { recursive: true, force: true });
    for (const name of ['refs/heads', 'refs/tags']) mkdirSync(join(gitDir, name), { recursive: true });
    writeFileSync(join(gitDir, 'HEAD'), `${commit}\n`);
    const hasParent = /^parent /m.test(headerOf(await run('cat-file', 'commit', commit)));
    rmSync(join(gitDir, 'shallow'), { force: true });
    if (hasParent) writeFileSync(join(gitDir, 'shallow'), `${commit}\n`);
  }
  await writeConfig(git, gitDir);
  for (const name of ['index', 'logs', 'FETCH_HEAD', 'ORIG_HEAD', 'hooks', 'info', 'description', 'branches'])
    rmSync(join(gitDir, name), { recursive: true, force: true });
  await run('read-tree', 'HEAD');
  await run('repack', '--quiet', '-a', '-d', '-f');
  rmSync(join(gitDir, 'objects', 'info'), { recursive: true, force: true });
  mkdirSync(join(gitDir, 'objects', 'info'));
  await run('prune', '--expire=now');
}

/** Git dirs of submodules below one; a submodule's name may have slashes. */
function modulesOf(gitDir: string): readonly string[] {
  const found: string[] = [];
  const visit = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (!entry.isDirectory()) continue;
      if (existsSync(join(path, 'HEAD'))) found.push(path);
      else visit(path);
    }
  };
  if (existsSync(join(gitDir, 'modules'))) visit(join(gitDir, 'modules'));
  return found;
}

const keptKeys =
  /^(?:core\.(?:repositoryformatversion|filemode|bare|worktree)|extensions\.objectformat|submodule\..+)$/s;

/** Writes the configuration anew: the same for every version of git, without passwords. */
async function writeConfig(git: GitProgram, gitDir: string): Promise<void> {
  const output = await git.run(['config', '--file', join(gitDir, 'config'), '--list', '-z']);
  const before = output
    .split('\0')
    .filter((entry) => entry !== '')
    .map((entry) => {
      const end = entry.indexOf('\n');
      return end < 0 ? ([entry, 'true'] as const) : ([entry.slice(0, end), entry.slice(end + 1)] as const);
    });
  const values = new Map(before.filter(([key]) => keptKeys.test(key)).sort(([a], [b]) => (a < b ? -1 : 1)));
  values.set('core.logallrefupdates', 'true');
  const url = before.find(([key]) => key === 'remote.origin.url')?.[1];
  if (url !== undefined) {
    values.set('remote.origin.url', url);
    values.set('remote.origin.fetch', '+refs/heads/*:refs/remotes/origin/*');
  }
  rmSync(join(gitDir, 'config'));
  writeFileSync(join(gitDir, 'config'), '');
  for (const [key, value] of values)
    await git.run([
      'config',
      '--file',
      join(gitDir, 'config'),
      key,
      key.endsWith('.url') ? redactUrl(value) : value,
    ]);
}
