import { type GitSource, parseGitUrl } from './git-url.ts';

/** A file behind an http(s) URL. */
export interface HttpSource {
  readonly kind: 'http';
  readonly url: string;
  /** What the file is called when it is copied into a folder: the last segment of the path, decoded (row C32). */
  readonly fileName: string;
}

/** What a source argument of ADD, or a build context, names. */
export type ParsedSource = { readonly kind: 'local' } | HttpSource | GitSource;

/**
 * Tells URLs and git repositories from local paths, as BuildKit does.
 * @param options.forContext - the text names a build context: `github.com/x/y` and `file://…` are git repositories then.
 * @throws {CairnError} GIT_URL_INVALID
 */
export function parseSourceUrl(text: string, options: { readonly forContext?: boolean } = {}): ParsedSource {
  const git = parseGitUrl(text);
  if (git !== null && (!git.looksLocal || options.forContext)) return git.source;
  if (options.forContext && text.startsWith('file://')) return fileRepository(text);
  if (!/^https?:\/\//.test(text)) return { kind: 'local' };
  return { kind: 'http', url: text, fileName: fileNameOf(text) };
}

/** A repository on this machine; the person at the command line may name one, a Dockerfile may not. */
function fileRepository(text: string): ParsedSource {
  const git = parseGitUrl(`ssh://localhost${text.slice('file://'.length)}`);
  if (git === null) return { kind: 'local' };
  return { ...git.source, remote: `file://${git.source.remote.slice('ssh://localhost'.length)}` };
}

const unnamed = '__unnamed__';

function fileNameOf(url: string): string {
  const path = /^https?:\/\/[^/?#]*([^?#]*)/.exec(url)?.[1] ?? '';
  const segments = path.split('/').filter((segment) => segment !== '');
  const last = segments.at(-1) ?? '';
  try {
    // A decoded name may hold slashes of its own.
    const name =
      decodeURIComponent(last)
        .split('/')
        .findLast((part) => part !== '') ?? '';
    return name === '' || name === '.' || name === '..' || /[\x00-\x1f\x7f]/.test(name) ? unnamed : name;
  } catch {
    return unnamed;
  }
}
