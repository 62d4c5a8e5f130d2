import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import { redactUrl } from '../../registry/http/index.ts';
import { compressionOf, magicBytes, type Store } from '../../store/index.ts';
import { toBytes } from '../../sys/index.ts';
import { ArchiveTree } from '../archive/archive-tree.ts';
import { readArchive } from '../archive/read-archive.ts';
import { readContent } from '../archive/read-content.ts';
import type { BuildOptions, ContextSource } from '../contracts.ts';
import { emptyTree } from '../copy/empty-tree.ts';
import { LayerTree } from '../copy/layer-tree.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import { FileTree } from '../remote/file-tree.ts';
import type { RemoteSources } from '../remote/remote-sources.ts';
import { parseSourceUrl } from '../remote/source-url.ts';
import type { IgnoreRules } from './ignore-rules.ts';
import { LocalTree } from './local-tree.ts';

/** A build context in use. */
export interface BuildContext {
  /** What it is called in messages and cache records. */
  readonly label: string;
  /** Its folder if it is one that the user named: ignore files count there only (as in BuildKit). */
  readonly folder: string | null;
  /** True when there was never anything to read. */
  readonly isEmpty?: boolean;
  /** What came in place of files: the Dockerfile itself (rows K02, K07). */
  readonly dockerfile: Uint8Array | null;
  /** Its files; nothing is read before the first call. Later calls give the same tree. */
  tree(ignore: IgnoreRules | null): SourceTree;
  /** Saves what was learnt about its files. */
  close(): void;
}

export interface OpenContextOptions extends Pick<BuildOptions, 'buildArgs' | 'contextModes' | 'store'> {
  readonly remote: RemoteSources;
}

/**
 * Opens a build context; fetches or spools what is not a local folder.
 * @throws {CairnError} CONTEXT_NOT_FOUND, ARCHIVE_INVALID, and what fetching throws
 */
export async function openContext(source: ContextSource, options: OpenContextOptions): Promise<BuildContext> {
  switch (source.kind) {
    case 'dir':
      return openFolder(source.path, options);
    case 'empty':
      return { ...fixed('empty context', new LayerTree(emptyTree, options.store.layers)), isEmpty: true };
    case 'git':
      return openRepository(source, options);
    case 'http':
      return openDownload(source.url, options);
    case 'stream':
      return openStream(source.bytes, options.store);
  }
}

function openFolder(
  path: string,
  { store, contextModes: modes = 'normal' }: OpenContextOptions,
): BuildContext {
  const root = resolve(path);
  checkFolder(root, path);
  let opened: { readonly tree: LocalTree; readonly stats: ReturnType<Store['statCache']> } | null = null;
  const open = (ignore: IgnoreRules | null) => {
    const stats = store.statCache(root);
    return { tree: new LocalTree({ root, ignore: ignore?.matcher ?? null, stats, modes }), stats };
  };
  return {
    label: path,
    folder: root,
    dockerfile: null,
    tree: (ignore) => {
      opened ??= open(ignore);
      return opened.tree;
    },
    close: () => opened?.stats.save(),
  };
}

async function openRepository(
  { url, keepGitDir }: Extract<ContextSource, { readonly kind: 'git' }>,
  { remote, buildArgs = {} }: OpenContextOptions,
): Promise<BuildContext> {
  const source = parseSourceUrl(url, { forContext: true });
  if (source.kind !== 'git') throw notARepository(url);
  const isKept = keepGitDir || /^(?:1|t|true)$/i.test(buildArgs.BUILDKIT_CONTEXT_KEEP_GIT_DIR ?? '');
  const { tree } = await remote.repository(
    { ...source, ...(isKept ? { keepGitDir: true } : {}) },
    { isContext: true },
  );
  return fixed(redactUrl(url), tree);
}

/** How BuildKit calls a downloaded file. */
const downloadName = 'context';

async function openDownload(url: string, { remote, store }: OpenContextOptions): Promise<BuildContext> {
  const file = await remote.download(url);
  const content = { kind: 'path', path: toBytes(file.path) } as const;
  const archive = await readArchive(content, file.size, { scratch: () => store.scratch() });
  const label = redactUrl(url);
  if (archive) return fixed(label, new ArchiveTree(archive));
  const dockerfile = await readDockerfileText(content, file.size, label);
  return fixed(label, new FileTree(downloadName, file), dockerfile);
}

async function openStream(bytes: AsyncIterable<Uint8Array>, store: Store): Promise<BuildContext> {
  const path = join(store.scratch(), 'context');
  const size = await spool(bytes, path);
  const content = { kind: 'slice', path, offset: 0 } as const;
  const label = 'standard input';
  const archive = await readArchive(content, size, { scratch: () => store.scratch() });
  if (archive) return fixed(label, new ArchiveTree(archive));
  const dockerfile = await readDockerfileText(content, size, label);
  return { ...fixed(label, new LayerTree(emptyTree, store.layers), dockerfile), isEmpty: true };
}

async function spool(bytes: AsyncIterable<Uint8Array>, path: string): Promise<number> {
  const fd = openSync(path, 'wx', 0o600);
  let size = 0;
  try {
    for await (const chunk of bytes) {
      for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
      size += chunk.length;
    }
  } finally {
    closeSync(fd);
  }
  return size;
}

const maxDockerfileBytes = 16 << 20;

async function readDockerfileText(
  content: Parameters<typeof readContent>[0],
  size: number,
  label: string,
): Promise<Uint8Array> {
  if (size > maxDockerfileBytes) throw notAContext(label, 'is too large for a Dockerfile and no tar');
  const chunks: Uint8Array[] = [];
  for await (const chunk of readContent(content, size)) chunks.push(chunk);
  const text = Buffer.concat(chunks);
  const compression = compressionOf(text.subarray(0, magicBytes));
  if (compression !== 'none') throw notAContext(label, `is ${compression} data, but not a compressed tar`);
  return text;
}

function fixed(label: string, tree: SourceTree, dockerfile: Uint8Array | null = null): BuildContext {
  return { label, folder: null, dockerfile, tree: () => tree, close: () => undefined };
}

function checkFolder(root: string, shown: string): void {
  const stat = statSync(root, { throwIfNoEntry: false });
  if (stat?.isDirectory()) return;
  throw new CairnError('CONTEXT_NOT_FOUND', {
    message: stat
      ? `the build context "${shown}" is not a directory`
      : `the build context "${shown}" does not exist`,
    help: 'give the folder that holds the files to copy, for example "."',
  });
}

function notARepository(url: string): CairnError {
  return new CairnError('GIT_URL_INVALID', {
    message: `"${redactUrl(url)}" is not the URL of a git repository`,
    help: 'an http(s) URL must end in .git; ssh://, git:// and git@host:path are others',
  });
}

function notAContext(label: string, reason: string): CairnError {
  return new CairnError('ARCHIVE_INVALID', {
    message: `the build context "${label}" ${reason}`,
    help: 'give a tar with the files, or a Dockerfile',
  });
}
