import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import type { ParseOptions } from '../parser/index.ts';
import { toBytes } from '../sys/index.ts';
import { readContent } from './archive/read-content.ts';
import type { BuildContext } from './context/open-context.ts';
import type { BuildOptions, DockerfileSource } from './contracts.ts';
import { resolvePath } from './copy/resolve-path.ts';
import type { SourceTree } from './copy/source-tree.ts';

/** The text of a Dockerfile and what it is called in messages. */
export interface DockerfileText {
  readonly text: Uint8Array | string;
  readonly name: string;
  /** Absolute or relative path on the host, when it is a file there. */
  readonly path?: string;
}

/** How its text is to be parsed. */
export function parseOptions(
  { name }: DockerfileText,
  { buildArgs = {} }: Pick<BuildOptions, 'buildArgs'>,
): ParseOptions {
  const syntax = buildArgs.BUILDKIT_SYNTAX;
  return { file: name, ...(syntax ? { syntax } : {}) };
}

/** A text file of a sane size. */
const maxBytes = 16 << 20;

/**
 * Finds and reads the Dockerfile: the given one, else `Dockerfile`, else `dockerfile` in the context (row X28). In a
 * context that is not a local folder, a relative path is one inside it (row K03).
 * @throws {CairnError} DOCKERFILE_NOT_FOUND
 */
export async function readDockerfile(
  source: DockerfileSource | undefined,
  context: BuildContext,
): Promise<DockerfileText> {
  if (source?.kind === 'text') return { text: source.text, name: source.name };
  if (source !== undefined && (context.folder !== null || isAbsolute(source.path)))
    return readFromHost(source.path);
  if (context.dockerfile !== null) {
    if (source === undefined) return { text: context.dockerfile, name: 'Dockerfile' };
    throw notFound(source.path, `${context.label} is a Dockerfile itself: leave -f out`);
  }
  if (context.folder !== null) return readDefault(context.folder);
  return readFromTree(context, source === undefined ? defaultNames : [source.path]);
}

const defaultNames = ['Dockerfile', 'dockerfile'];

function readFromHost(path: string): DockerfileText {
  const text = readIfExists(path);
  if (text !== null) return { text, name: path, path };
  throw notFound(
    path,
    'check the path given with -f; it is relative to the current directory, not to the context',
  );
}

function readDefault(folder: string): DockerfileText {
  for (const name of defaultNames) {
    const path = join(folder, name);
    const text = readIfExists(path);
    if (text !== null) return { text, name, path };
  }
  throw notFound(join(folder, 'Dockerfile'), 'create one there, or name another file with -f');
}

async function readFromTree(context: BuildContext, names: readonly string[]): Promise<DockerfileText> {
  const tree = context.tree(null);
  for (const name of names) {
    const text = await readFile(tree, name);
    if (text !== null) return { text, name };
  }
  throw notFound(
    names[0] as string,
    context.isEmpty
      ? 'there is no build context to look in; give the file with -f or on standard input'
      : `it is looked for in the build context, ${context.label}; name another file there with -f`,
  );
}

async function readFile(tree: SourceTree, name: string): Promise<Uint8Array | null> {
  const path = resolvePath(tree, toBytes(name), { followLast: true });
  const node = tree.get(path);
  if (node === undefined) return null;
  if (node.type !== 'file' || node.size > maxBytes) {
    const reason = node.type === 'file' ? 'it is too large' : 'it is not a file';
    throw new CairnError('DOCKERFILE_NOT_FOUND', {
      message: `cannot read "${name}" in the build context: ${reason}`,
    });
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of readContent(tree.content(path), node.size)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function readIfExists(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    const reason = code === 'EISDIR' ? 'it is a directory' : (code ?? 'unreadable');
    throw new CairnError('DOCKERFILE_NOT_FOUND', {
      message: `cannot read "${path}": ${reason}`,
      cause: error,
    });
  }
}

function notFound(path: string, help: string): CairnError {
  return new CairnError('DOCKERFILE_NOT_FOUND', { message: `no Dockerfile: "${path}" does not exist`, help });
}
