import { CairnError } from '../../errors/index.ts';
import { redactUrl } from '../../registry/http/index.ts';
import { type GitProgram, gitFailed } from './git-program.ts';
import type { GitSource } from './git-url.ts';

/** What is to be fetched. */
export interface GitTarget {
  /** Full name of the ref that leads to it; absent when only a commit ID was given. */
  readonly refName?: string;
  /** ID of the commit, or of the annotated tag. */
  readonly objectId: string;
  /** ID of the commit that an annotated tag names, where the remote said so. */
  readonly peeledId?: string;
}

/** True for a full object ID (SHA-1 or SHA-256, lower case). */
export function isObjectId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

/**
 * Finds out which object a source names; asks the remote unless it is a full commit ID. Of a branch and a tag of one name the branch
 * counts, as in `git checkout`.
 * @throws {CairnError} GIT_REF_NOT_FOUND, GIT_FAILED, CHECKSUM_INVALID, CHECKSUM_MISMATCH
 */
export async function resolveGitSource(git: GitProgram, source: GitSource): Promise<GitTarget> {
  const { ref, checksum, fetchByCommit } = source;
  if (checksum !== undefined && !/^[a-fA-F0-9]+$/.test(checksum))
    throw new CairnError('CHECKSUM_INVALID', {
      message: `invalid checksum "${checksum}" for a git repository`,
      help: 'give a commit ID in hex digits, or its beginning',
    });
  if (ref?.startsWith('-')) throw notFound(source, ref);
  if (ref !== undefined && isObjectId(ref)) {
    checkObject(source, ref);
    return { objectId: ref };
  }
  if (fetchByCommit) return pinnedTarget(source);
  const found = await lookUp(git, source, ref ?? (await defaultBranch(git, source)));
  checkObject(source, found.objectId, found.peeledId);
  return found;
}

/** `fetch-by-commit`: the checksum says what to fetch, the ref is only a name for it. */
function pinnedTarget({ ref, checksum }: GitSource): GitTarget {
  if (checksum === undefined || !isObjectId(checksum))
    throw new CairnError('CHECKSUM_INVALID', {
      message: 'fetch-by-commit needs the full commit ID as checksum',
      help: 'add checksum= with all 40 (or 64) hex digits, or drop fetch-by-commit',
    });
  if (ref === undefined) return { objectId: checksum };
  return { objectId: checksum, refName: ref.startsWith('refs/') ? ref : `refs/heads/${ref}` };
}

async function defaultBranch(git: GitProgram, source: GitSource): Promise<string> {
  const output = await listRemote(git, source, ['--symref'], ['HEAD']);
  const branch = /^ref: (refs\/heads\/\S+)\tHEAD$/m.exec(output)?.[1];
  if (branch !== undefined) return branch;
  throw new CairnError('GIT_REF_NOT_FOUND', {
    message: `"${redactUrl(source.remote)}" has no default branch`,
    help: 'name a branch, a tag or a commit behind # in the URL',
  });
}

async function lookUp(git: GitProgram, source: GitSource, ref: string): Promise<GitTarget> {
  const output = await listRemote(git, source, [], [ref, `${ref}^{}`]);
  const refs = new Map(output.split('\n').map((line) => line.split('\t').reverse() as [string, string]));
  const names = [
    `refs/${withoutPrefix(ref, 'refs/')}`,
    `refs/heads/${withoutPrefix(ref, 'refs/heads/')}`,
    `refs/tags/${withoutPrefix(ref, 'refs/tags/')}`,
  ];
  const refName = names.find((name) => refs.has(name));
  const objectId = refName === undefined ? undefined : refs.get(refName);
  if (refName === undefined || objectId === undefined || !isObjectId(objectId)) throw notFound(source, ref);
  const peeledId = refs.get(`${refName}^{}`);
  return { refName, objectId, ...(peeledId === undefined ? {} : { peeledId }) };
}

async function listRemote(
  git: GitProgram,
  { remote }: GitSource,
  options: readonly string[],
  patterns: readonly string[],
): Promise<string> {
  try {
    return await git.run(['ls-remote', ...options, '--', remoteName, ...patterns]);
  } catch (error) {
    throw gitFailed('read the branches and tags of', remote, error);
  }
}

/** How the remote is called in the configuration that git gets: its URL may hold a password. Submodules see it too. */
export const remoteName = 'cairn-source';

function checkObject(source: GitSource, objectId: string, peeledId?: string): void {
  const { checksum } = source;
  if (checksum === undefined || objectId.startsWith(checksum) || peeledId?.startsWith(checksum)) return;
  throw checksumMismatch(source, [objectId, ...(peeledId === undefined ? [] : [peeledId])]);
}

/** The error for a ref that leads elsewhere than the checksum says. */
function checksumMismatch({ remote, ref, checksum }: GitSource, found: readonly string[]): CairnError {
  return new CairnError('CHECKSUM_MISMATCH', {
    message: `"${redactUrl(remote)}#${ref ?? ''}" does not have the wanted checksum`,
    notes: [{ message: `wanted ${checksum}` }, { message: `found  ${found.join(' or ')}` }],
    help: 'if the new commit is right, put its ID into the checksum',
  });
}

/** The error for a ref or commit that the remote does not have. */
export function notFound({ remote }: GitSource, ref: string): CairnError {
  const isShortId = /^[0-9a-f]{4,39}$/.test(ref);
  return new CairnError('GIT_REF_NOT_FOUND', {
    message: `"${redactUrl(remote)}" does not contain ref "${ref}"`,
    help: isShortId
      ? 'a commit must be given by its full ID: servers do not look up short ones'
      : 'check the spelling; a branch, a tag, refs/… or a full commit ID may stand there',
  });
}

function withoutPrefix(text: string, prefix: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}
