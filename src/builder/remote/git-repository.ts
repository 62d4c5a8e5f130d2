import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf, hexOf } from '../../oci/index.ts';
import { GitFailure, type GitProgram, gitFailed } from './git-program.ts';
import { type GitTarget, isObjectId, notFound, remoteName } from './git-refs.ts';
import type { GitSource } from './git-url.ts';

/** A bare repository of the cache that collects what was fetched from one remote. The caller has it locked. */
export class GitRepository {
  readonly path: string;
  readonly #git: GitProgram;
  readonly #source: GitSource;

  constructor(git: GitProgram, path: string, source: GitSource) {
    this.#git = git;
    this.path = path;
    this.#source = source;
  }

  /** Makes it if it is not there, or was left half-made. */
  async open(objectFormat: 'sha1' | 'sha256'): Promise<void> {
    const isWhole = existsSync(join(this.path, 'HEAD')) && existsSync(join(this.path, 'objects'));
    if (isWhole && (await this.#git.try(['--git-dir', this.path, 'rev-parse', '--git-dir'])) !== null) return;
    rmSync(this.path, { recursive: true, force: true });
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
    await this.#run(['init', '--quiet', '--bare', `--object-format=${objectFormat}`]);
  }

  /**
   * Brings in the target's object unless it is there.
   * @returns the object that was fetched: another one than the target's when the ref has moved meanwhile
   * @throws {CairnError} GIT_REF_NOT_FOUND, GIT_FAILED
   */
  async fetch({ refName, objectId }: GitTarget, pinned: boolean): Promise<string> {
    if (await this.#has(objectId)) return objectId;
    // A fetch that was killed leaves its lock.
    rmSync(join(this.path, 'shallow.lock'), { force: true });
    if (refName === undefined || pinned) return this.#fetchObject(objectId);
    // Named by a digest: of two refs one may be the folder of the other.
    const local = `refs/cairn/${hexOf(digestOf(refName)).slice(0, 32)}`;
    await this.#fetchShallow([`+${refName}:${local}`]);
    return (await this.#run(['rev-parse', local])).trim();
  }

  /** The commit that an object is or, as a tag, names. @throws {CairnError} GIT_REF_NOT_FOUND */
  async commitOf(objectId: string): Promise<string> {
    const commit = await this.#git.try([
      '--git-dir',
      this.path,
      'rev-parse',
      '--verify',
      '--quiet',
      `${objectId}^{commit}`,
    ]);
    if (commit === null) throw notFound(this.#source, objectId);
    return commit.trim();
  }

  /** The text of a commit object. */
  commitText(commit: string): Promise<string> {
    return this.#run(['cat-file', 'commit', commit]);
  }

  async #has(objectId: string): Promise<boolean> {
    return (await this.#git.try(['--git-dir', this.path, 'cat-file', '-e', `${objectId}^{tree}`])) !== null;
  }

  /** Most servers give any commit; the others only what a branch or a tag leads to. */
  async #fetchObject(objectId: string): Promise<string> {
    const single = await this.#git.try([
      ...this.#fetchCommand(['--depth=1']),
      `${objectId}:refs/cairn/${objectId}`,
    ]);
    if (single !== null && (await this.#has(objectId))) return objectId;
    const isShallow = existsSync(join(this.path, 'shallow'));
    await this.#fetch(isShallow ? ['--unshallow'] : [], [
      '+refs/heads/*:refs/cairn/heads/*',
      '+refs/tags/*:refs/cairn/tags/*',
    ]);
    if (await this.#has(objectId)) return objectId;
    throw notFound(this.#source, objectId);
  }

  async #fetchShallow(refspecs: readonly string[]): Promise<void> {
    try {
      await this.#git.run([...this.#fetchCommand(['--depth=1']), ...refspecs]);
    } catch (error) {
      // A server of plain files cannot cut history off.
      const isShallowTrouble = error instanceof GitFailure && /shallow|depth/.test(error.stderr);
      if (!isShallowTrouble) throw gitFailed('fetch', this.#source.remote, error);
      await this.#fetch([], refspecs);
    }
  }

  async #fetch(options: readonly string[], refspecs: readonly string[]): Promise<void> {
    try {
      await this.#git.run([...this.#fetchCommand(options), ...refspecs]);
    } catch (error) {
      throw gitFailed('fetch', this.#source.remote, error);
    }
  }

  #fetchCommand(options: readonly string[]): readonly string[] {
    const fixed = ['fetch', '--quiet', '--no-tags', '--prune', '--no-write-fetch-head'];
    return ['--git-dir', this.path, ...fixed, ...options, '--', remoteName];
  }

  async #run(args: readonly string[]): Promise<string> {
    try {
      return await this.#git.run(['--git-dir', this.path, ...args]);
    } catch (error) {
      throw gitFailed('use the copy of', this.#source.remote, error);
    }
  }
}

/** The object format that an ID is of. */
export function objectFormatOf(objectId: string): 'sha1' | 'sha256' {
  if (!isObjectId(objectId)) throw new Error(`not an object ID: ${objectId}`);
  return objectId.length === 64 ? 'sha256' : 'sha1';
}
