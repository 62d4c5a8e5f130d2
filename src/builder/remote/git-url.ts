import { CairnError } from '../../errors/index.ts';
import { redactUrl } from '../../registry/http/index.ts';

/** A git repository and what of it is wanted, as `ADD` and contexts name it (row C33, C34). */
export interface GitSource {
  readonly kind: 'git';
  /** What git is given: a URL without query and fragment, or `user@host:path`. May hold credentials. */
  readonly remote: string;
  /** Branch, tag, `refs/…` or a full commit ID; the remote's default branch when absent. */
  readonly ref?: string;
  /** Folder in the repository that takes the place of its root. As written: not cleaned. */
  readonly subdir?: string;
  /** The beginning of the commit ID (or of an annotated tag's) that `ref` must have. */
  readonly checksum?: string;
  readonly keepGitDir?: boolean;
  /** Submodules are fetched unless false. */
  readonly submodules?: boolean;
  /** `commit`: files have the time of the commit. */
  readonly mtime?: 'checkout' | 'commit';
  /** The commit named by `checksum` is fetched whatever `ref` points at. */
  readonly fetchByCommit?: boolean;
}

export interface ParsedGitUrl {
  readonly source: GitSource;
  /** `github.com/x/y`: could as well be a local path, so only the build context may be written like that (row K06). */
  readonly looksLocal: boolean;
}

// What git may be asked for by a Dockerfile. `file` is not among them: it would reach outside the context.
const protocols = new Set(['http', 'https', 'ssh', 'git']);

/**
 * Decides whether a text names a git repository, and reads it (buildkit, frontend/dockerfile/dfgitutil). An http(s) URL does
 * only when its path ends in `.git`; `git://`, `ssh://` and `user@host:path` always do.
 * @returns null for anything else
 * @throws {CairnError} GIT_URL_INVALID for a git URL whose query is unknown or contradicts itself
 */
export function parseGitUrl(text: string): ParsedGitUrl | null {
  if (text.startsWith('./') || text.startsWith('../')) return null;
  const looksLocal = text.startsWith('github.com/');
  const url = looksLocal ? splitUrl(`https://${text}`) : (splitUrl(text) ?? splitScpUrl(text));
  if (url === null) return null;
  if (!looksLocal && url.scheme.startsWith('http') && !url.path.endsWith('.git')) return null;
  const fragment = parseFragment(url.fragment);
  const query = new GitQuery(text, url.query);
  return { source: query.applyTo({ kind: 'git', remote: url.remote, ...fragment }), looksLocal };
}

interface SplitUrl {
  readonly scheme: string;
  readonly path: string;
  readonly query: string;
  readonly fragment: string;
  /** Without query and fragment. */
  readonly remote: string;
}

function splitUrl(text: string): SplitUrl | null {
  const match = /^([a-zA-Z0-9]+):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(text);
  const [, scheme, authority, path, query = '', fragment = ''] = match ?? [];
  if (scheme === undefined || !protocols.has(scheme.toLowerCase())) return null;
  const decoded = [decodePercent(path ?? ''), decodePercent(fragment)];
  if (decoded.includes(null) || /[\s\x00-\x1f\x7f]/.test(text)) return null;
  return {
    scheme: scheme.toLowerCase(),
    path: decoded[0] as string,
    query,
    fragment: decoded[1] as string,
    remote: `${scheme.toLowerCase()}://${authority}${path}`,
  };
}

/** `user@host:path`, which means ssh. */
function splitScpUrl(text: string): SplitUrl | null {
  if (/^[a-zA-Z0-9]+:\/\//.test(text)) return null;
  const match = /^([a-zA-Z0-9_-]+)@([a-zA-Z0-9.-]+):(.*?)(?:\?(.*?))?(?:#(.*))?$/.exec(text);
  const [, user, host, path, query = '', fragment = ''] = match ?? [];
  if (user === undefined) return null;
  return { scheme: 'ssh', path: path as string, query, fragment, remote: `${user}@${host}:${path}` };
}

/** `#ref:subdir`; either may be missing. */
function parseFragment(fragment: string): Pick<GitSource, 'ref' | 'subdir'> {
  const colon = fragment.indexOf(':');
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const subdir = colon < 0 ? '' : cleanFolder(fragment.slice(colon + 1));
  return { ...(ref === '' ? {} : { ref }), ...(subdir === '' ? {} : { subdir }) };
}

/** A folder inside a repository as a relative path: `.` and `..` resolved, never leading out. */
export function cleanFolder(path: string): string {
  const out: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') out.pop();
    else if (part !== '' && part !== '.') out.push(part);
  }
  return out.join('/');
}

type Draft = { -readonly [Key in keyof GitSource]: GitSource[Key] };

/** The query form: `?ref=…&subdir=…`. Each key at most once; what it says must agree with the fragment. */
class GitQuery {
  readonly #text: string;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(text: string, query: string) {
    this.#text = text;
    this.#values = parseQuery(query);
  }

  applyTo(source: GitSource): GitSource {
    const draft: Draft = { ...source };
    let tag = '';
    let branch = '';
    for (const [key, values] of this.#values) {
      if (values.length > 1) throw this.#invalid(`query "${key}" has multiple values`);
      const value = values[0] as string;
      if (value === '' && !flags.has(key)) throw this.#invalid(`query "${key}" has no value`);
      if (key === 'ref') this.#agree(draft, 'ref', value);
      else if (key === 'subdir') this.#agree(draft, 'subdir', value);
      else if (key === 'tag') tag = value;
      else if (key === 'branch') branch = value;
      else if (key === 'checksum' || key === 'commit') draft.checksum = value;
      else if (key === 'mtime') draft.mtime = this.#mtime(value);
      else if (key === 'keep-git-dir') draft.keepGitDir = this.#flag(key, value);
      else if (key === 'submodules') draft.submodules = this.#flag(key, value);
      else if (key === 'fetch-by-commit') draft.fetchByCommit = this.#flag(key, value);
      else throw this.#invalid(`unexpected query "${key}"`);
    }
    if (tag !== '' && branch !== '') throw this.#invalid('branch conflicts with tag');
    if (tag !== '') this.#agree(draft, 'ref', qualified(tag, 'refs/tags/'));
    if (branch !== '') this.#agree(draft, 'ref', qualified(branch, 'refs/heads/'));
    return draft;
  }

  #agree(draft: Draft, key: 'ref' | 'subdir', value: string): void {
    const before = draft[key];
    if (before !== undefined && before !== value)
      throw this.#invalid(`${key} conflicts: "${before}" vs "${value}"`);
    draft[key] = value;
  }

  #mtime(value: string): 'checkout' | 'commit' {
    if (value === 'checkout' || value === 'commit') return value;
    throw this.#invalid(`invalid mtime value: "${value}" (must be "checkout" or "commit")`);
  }

  /** A flag without a value is on. */
  #flag(key: string, value: string): boolean {
    if (value === '' || /^(1|t|T|true|TRUE|True)$/.test(value)) return true;
    if (/^(0|f|F|false|FALSE|False)$/.test(value)) return false;
    throw this.#invalid(`invalid ${key} value: "${value}"`);
  }

  #invalid(message: string): CairnError {
    return new CairnError('GIT_URL_INVALID', {
      message: `git URL "${redactUrl(this.#text)}": ${message}`,
      help: 'known are ref, tag, branch, subdir, checksum (or commit), keep-git-dir, submodules, mtime and fetch-by-commit, each at most once and in agreement with #ref:subdir',
    });
  }
}

const flags = new Set(['submodules', 'keep-git-dir', 'fetch-by-commit']);

function qualified(name: string, prefix: string): string {
  return name.startsWith(prefix) ? name : prefix + name;
}

function parseQuery(query: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const key = decodeForm(equals < 0 ? pair : pair.slice(0, equals));
    const value = decodeForm(equals < 0 ? '' : pair.slice(equals + 1));
    if (key === null || value === null) continue;
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}

function decodeForm(text: string): string | null {
  return decodePercent(text.replaceAll('+', ' '));
}

function decodePercent(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
