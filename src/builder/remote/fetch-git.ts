import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import { digestOf, hexOf } from '../../oci/index.ts';
import type { HostEnv } from '../../registry/http/index.ts';
import { redactUrl } from '../../registry/http/index.ts';
import { lock, syncFileSystem } from '../../sys/index.ts';
import { checkOut, keepsGitDir } from './git-checkout.ts';
import { GitProgram } from './git-program.ts';
import { type GitTarget, isObjectId, remoteName, resolveGitSource } from './git-refs.ts';
import { GitRepository, objectFormatOf } from './git-repository.ts';
import { cleanFolder, type GitSource } from './git-url.ts';
import { type HeldEntries, isAt } from './held-entries.ts';

export interface FetchGitOptions {
  /** Folder of the cache, in the store. */
  readonly cacheDir: string;
  /** A folder in the same file system that nobody else uses meanwhile. */
  readonly scratch: string;
  /** Keeps the files from being pruned while they are used. */
  readonly held: HeldEntries;
  /** PATH (to find git and ssh), the proxy variables, and HOME for the user's known_hosts. */
  readonly env: HostEnv;
  /** Socket of an ssh agent. Without one no key is used. */
  readonly sshAuthSock?: string;
  /** Value of the Authorization header for the remote. */
  readonly authorization?: string;
  readonly signal: AbortSignal;
  /** Milliseconds since 1970; notes when the files were of use. */
  readonly now: () => number;
}

export interface FetchedRepository {
  /** The checked out folder (the subdirectory, if one was asked for). Absolute; for reading only. */
  readonly path: string;
  /** ID of the commit. */
  readonly commit: string;
  /** When it was committed, in seconds since 1970. */
  readonly commitTime: number;
}

/**
 * Fetches what a git URL names and checks it out. Repositories and checkouts are kept: a commit that is known costs no network when it
 * is named by its full ID, else one question to the server.
 * @throws {CairnError} GIT_REF_NOT_FOUND, GIT_SUBDIR_INVALID, GIT_FAILED, CHECKSUM_INVALID, CHECKSUM_MISMATCH
 */
export async function fetchGit(source: GitSource, options: FetchGitOptions): Promise<FetchedRepository> {
  const cache = new GitCache(options.cacheDir);
  const { ref } = source;
  // A full commit ID needs nobody's answer; the checksum is checked with the rest when it has to be fetched.
  const pinned =
    ref !== undefined && isObjectId(ref) && source.checksum === undefined ? { objectId: ref } : null;
  const known = pinned && cache.find(source, pinned, options.held);
  if (known) return finish(source, known, options);
  const allowFile = source.remote.startsWith('file://');
  const git = new GitProgram({ ...programOptions(source, options), allowFile });
  return cache.locked(source.remote, options, async (folder) => {
    for (let attempt = 1; ; attempt++) {
      const target = await resolveGitSource(git, source);
      const found = cache.find(source, target, options.held);
      if (found) return finish(source, found, options);
      const made = await fetchTarget(git, { cache, folder }, source, target, options);
      if (made) return finish(source, made, options);
      if (attempt === 3) throw movingTarget(source);
    }
  });
}

/** @returns null when the ref led to another object than a moment ago */
async function fetchTarget(
  git: GitProgram,
  { cache, folder: repositories }: { readonly cache: GitCache; readonly folder: string },
  source: GitSource,
  target: GitTarget,
  options: FetchGitOptions,
): Promise<Checkout | null> {
  const format = objectFormatOf(target.objectId);
  const repository = new GitRepository(git, join(repositories, `${format}.git`), source);
  await repository.open(format);
  const fetched = await repository.fetch(target, source.fetchByCommit === true);
  if (fetched !== target.objectId) return null;
  const commit = await repository.commitOf(target.objectId);
  const folder = join(options.scratch, `checkout-${hexOf(digestOf(source.remote)).slice(0, 8)}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  const { scratch } = options;
  // What a repository says about submodules must not reach other repositories on this machine.
  const confined = new GitProgram(programOptions(source, options));
  await checkOut({
    git: confined,
    source,
    target,
    commit,
    repository,
    folder: join(folder, 'tree'),
    scratch,
  });
  const commitTime = committedAt(await repository.commitText(commit));
  return cache.keep(source, target, folder, { commit, commitTime }, options.held);
}

/** The committer's time (git-commit-tree(1)). */
function committedAt(commitText: string): number {
  const seconds = /^committer .*> (\d+) [+-]\d+$/m.exec(commitText)?.[1];
  return Number(seconds ?? 0);
}

interface CheckoutFacts {
  readonly commit: string;
  readonly commitTime: number;
}

/** A checkout of the cache: the files are in `tree` below its folder. */
interface Checkout extends CheckoutFacts {
  readonly folder: string;
}

const version = 1;

/** `repository-<key>` has bare repositories of one remote, `checkout-<key>` the files of a commit in `tree`. */
class GitCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  /** Runs `work` with the remote's folder, while no other one, in this process or another, uses it. */
  async locked<T>(
    remote: string,
    { signal, now }: Pick<FetchGitOptions, 'signal' | 'now'>,
    work: (folder: string) => Promise<T>,
  ): Promise<T> {
    const path = join(this.#folder, `repository-${keyOf(remote)}`);
    for (;;) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        await lock(fd, 'exclusive', signal);
        // It may have been pruned before the lock was there.
        if (!isAt(path, fd)) continue;
        return await work(path);
      } finally {
        if (isAt(path, fd)) utimesSync(path, now() / 1000, now() / 1000);
        closeSync(fd);
      }
    }
  }

  /** Holds the checkout that is found. */
  find(source: GitSource, target: GitTarget, held: HeldEntries): Checkout | null {
    const folder = this.#checkoutPath(source, target);
    if (!held.hold(folder)) return null;
    const facts = JSON.parse(readFileSync(join(folder, 'checkout.json'), 'utf8')) as CheckoutFacts;
    return { ...facts, folder };
  }

  /** Moves a finished checkout into the cache; one that is there already stays. */
  keep(
    source: GitSource,
    target: GitTarget,
    folder: string,
    facts: CheckoutFacts,
    held: HeldEntries,
  ): Checkout {
    writeFileSync(join(folder, 'checkout.json'), JSON.stringify(facts), { mode: 0o600 });
    // What has its final name is complete, also after a power cut.
    syncFileSystem(folder);
    const path = this.#checkoutPath(source, target);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) renameSync(folder, path);
    else rmSync(folder, { recursive: true, force: true });
    if (held.hold(path)) return { ...facts, folder: path };
    throw new Error(`a new checkout vanished: ${path}`);
  }

  #checkoutPath(source: GitSource, { objectId, peeledId, refName }: GitTarget): string {
    // Relative submodules depend on the remote; a kept .git names remote, ref and tag as well.
    const submodules = String(source.submodules !== false);
    const parts = keepsGitDir(source)
      ? [source.remote, objectId, submodules, refName ?? '-']
      : [source.remote, peeledId ?? objectId, submodules];
    return join(this.#folder, `checkout-${keyOf(...parts)}`);
  }
}

function keyOf(...parts: readonly string[]): string {
  return hexOf(digestOf(JSON.stringify([version, ...parts]))).slice(0, 40);
}

function finish(source: GitSource, checkout: Checkout, { now }: FetchGitOptions): FetchedRepository {
  const { folder, commit, commitTime } = checkout;
  utimesSync(folder, now() / 1000, now() / 1000);
  return { path: subfolder(source, join(folder, 'tree')), commit, commitTime };
}

/** Every component must be a real directory: a link in a repository may lead anywhere on this machine. */
function subfolder(source: GitSource, tree: string): string {
  let path = tree;
  for (const part of cleanFolder(source.subdir ?? '').split('/')) {
    if (part === '') continue;
    path = join(path, part);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory()) continue;
    throw new CairnError('GIT_SUBDIR_INVALID', {
      message: `"${source.subdir}" in "${redactUrl(source.remote)}" ${stat ? `is not a directory` : 'does not exist'}`,
      help: 'name a directory of the repository behind #ref: (links are not followed)',
    });
  }
  return path;
}

function programOptions(source: GitSource, options: FetchGitOptions) {
  const { env, scratch, signal, sshAuthSock, authorization } = options;
  const scope = /^https:\/\/(?:www\.)?github\.com\//.exec(source.remote)?.[0] ?? source.remote;
  return {
    env,
    scratch,
    signal,
    ...(sshAuthSock === undefined ? {} : { sshAuthSock }),
    ...(env.HOME === undefined ? {} : { knownHosts: join(env.HOME, '.ssh', 'known_hosts') }),
    config: {
      [`remote.${remoteName}.url`]: source.remote,
      ...(authorization === undefined
        ? {}
        : { [`http.${scope}.extraheader`]: `Authorization: ${authorization}` }),
    },
  };
}

function movingTarget(source: GitSource): CairnError {
  return new CairnError('GIT_FAILED', {
    message: `"${source.ref ?? 'the default branch'}" of "${redactUrl(source.remote)}" changed each time it was fetched`,
    help: 'name a commit by its full ID',
  });
}
