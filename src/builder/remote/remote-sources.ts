import { join } from 'node:path';
import type { Digest } from '../../oci/index.ts';
import type { HostEnv } from '../../registry/http/index.ts';
import type { StatCache, Store } from '../../store/contracts.ts';
import { LocalTree } from '../context/local-tree.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import type { FetchedRepository } from './fetch-git.ts';
import type { FetchedFile } from './fetch-url.ts';
import { FileTree } from './file-tree.ts';
import type { GitSource } from './git-url.ts';
import { HeldEntries } from './held-entries.ts';
import type { HttpSource } from './source-url.ts';

/** Credentials for fetching sources; asked for by name when they are needed. */
export interface SourceCredentials {
  /** The value of a build secret (`--secret`), or null. */
  secret(id: string): Uint8Array | null;
  /** Socket of the agent of `--ssh default`, or null. */
  sshSocket(): Promise<string | null>;
}

export interface RemoteSourcesOptions {
  readonly store: Store;
  readonly env: HostEnv;
  readonly credentials: SourceCredentials;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/** A checked out repository: its files, and when they were committed. */
export interface RepositoryTree {
  readonly tree: SourceTree;
  readonly folder: string;
  readonly commit: string;
  /** Seconds since 1970. */
  readonly commitTime: number;
}

/**
 * What a build fetches from elsewhere, as trees to copy from. Each URL is asked for once in a build, however often it is named, so
 * that all steps see the same content. They are kept in the store's cache/sources.
 */
export class RemoteSources {
  readonly #options: RemoteSourcesOptions;
  readonly #held = new HeldEntries();
  readonly #files = new Map<string, Promise<FetchedFile>>();
  readonly #repositories = new Map<string, Promise<RepositoryTree>>();
  readonly #stats = new Set<StatCache>();

  constructor(options: RemoteSourcesOptions) {
    this.#options = options;
  }

  /** @throws {CairnError} URL_INVALID, URL_UNREACHABLE, CHECKSUM_MISMATCH */
  async file(source: HttpSource, checksum?: Digest): Promise<SourceTree> {
    return new FileTree(source.fileName, await this.download(source.url, checksum));
  }

  /** As `file`, without a tree around it. */
  download(url: string, checksum?: Digest): Promise<FetchedFile> {
    const key = JSON.stringify([url, checksum]);
    const running = this.#files.get(key) ?? this.#download(url, checksum);
    this.#files.set(key, running);
    return running;
  }

  /**
   * @param options.isContext - the user named it on the command line: the keys of the running agent may be used, as with buildx.
   * @throws {CairnError} GIT_REF_NOT_FOUND, GIT_SUBDIR_INVALID, GIT_FAILED, CHECKSUM_INVALID, CHECKSUM_MISMATCH
   */
  repository(source: GitSource, options: { readonly isContext?: boolean } = {}): Promise<RepositoryTree> {
    const key = JSON.stringify(source);
    const running = this.#repositories.get(key) ?? this.#checkOut(source, options.isContext === true);
    this.#repositories.set(key, running);
    return running;
  }

  /** Saves what was learnt about files, and lets prune have them. Idempotent. */
  close(): void {
    for (const stats of this.#stats) stats.save();
    this.#stats.clear();
    this.#held.release();
  }

  async #download(url: string, checksum: Digest | undefined): Promise<FetchedFile> {
    const { fetchUrl } = await import('./fetch-url.ts');
    const { store, env, signal, now } = this.#options;
    const authorization = this.#httpAuthorization(url);
    return fetchUrl(url, {
      cacheDir: join(store.root, 'cache', 'sources'),
      scratch: store.scratch(),
      held: this.#held,
      ...(checksum === undefined ? {} : { checksum }),
      ...(authorization === null ? {} : { headers: { authorization } }),
      env,
      signal,
      now,
    });
  }

  async #checkOut(source: GitSource, isContext: boolean): Promise<RepositoryTree> {
    const { fetchGit } = await import('./fetch-git.ts');
    const { store, env, signal, now, credentials } = this.#options;
    const authorization = this.#gitAuthorization(source.remote);
    const sshAuthSock = /^https?:/.test(source.remote)
      ? null
      : ((await credentials.sshSocket()) ?? (isContext ? (env.SSH_AUTH_SOCK ?? null) : null));
    const fetched: FetchedRepository = await fetchGit(source, {
      cacheDir: join(store.root, 'cache', 'sources'),
      scratch: store.scratch(),
      held: this.#held,
      env,
      ...(sshAuthSock === null ? {} : { sshAuthSock }),
      ...(authorization === null ? {} : { authorization }),
      signal,
      now,
    });
    const stats = store.statCache(fetched.path);
    this.#stats.add(stats);
    const tree = new LocalTree({ root: fetched.path, ignore: null, stats, modes: 'exact' });
    return { tree, folder: fetched.path, commit: fetched.commit, commitTime: fetched.commitTime };
  }

  /** `HTTP_AUTH_TOKEN_<host>` is a bearer token, `HTTP_AUTH_HEADER_<host>` the whole value (row C38). */
  #httpAuthorization(url: string): string | null {
    const host = URL.canParse(url) ? new URL(url).hostname : '';
    const token = this.#secret(`HTTP_AUTH_TOKEN_${host}`);
    return token === null ? this.#secret(`HTTP_AUTH_HEADER_${host}`) : `Bearer ${token}`;
  }

  /** Those for the host come first, and a header before a token (row C38). */
  #gitAuthorization(remote: string): string | null {
    const host = /^https?:\/\/(?:[^/@]*@)?([^/]*)/.exec(remote)?.[1];
    if (host === undefined) return null;
    for (const suffix of [`.${host}`, '']) {
      const header = this.#secret(`GIT_AUTH_HEADER${suffix}`);
      if (header !== null) return header;
      const token = this.#secret(`GIT_AUTH_TOKEN${suffix}`);
      if (token !== null) return `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
    }
    return null;
  }

  /** A file with a secret ends with a line feed more often than not. */
  #secret(id: string): string | null {
    const value = this.#options.credentials.secret(id);
    return value === null
      ? null
      : Buffer.from(value)
          .toString('utf8')
          .replace(/\r?\n$/, '');
  }
}
