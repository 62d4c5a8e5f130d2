import { statSync } from 'node:fs';
import type { ContextSource, DockerfileSource } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import { UsageError } from '../command.ts';
import { unsupported } from '../dispatch.ts';
import type { Host, InputStream } from '../host.ts';

/** A Dockerfile on standard input is text of a sane size. */
const maxDockerfileBytes = 16 * 1024 * 1024;

export interface BuildSources {
  readonly context: ContextSource;
  readonly dockerfile?: DockerfileSource;
}

/**
 * What `PATH | URL | -` and `-f` mean.
 * @throws {CairnError} CONTEXT_NOT_FOUND, USAGE for kinds of contexts that are not there yet
 */
export async function buildSources(
  host: Host,
  path: string,
  file: string | undefined,
): Promise<BuildSources> {
  if (path === '-') {
    if (file === '-')
      throw new UsageError('invalid argument: cannot use stdin for both build context and dockerfile');
    return { context: { kind: 'empty' }, dockerfile: await dockerfileFromInput(host.stdin, 'context') };
  }
  if (isRemote(path)) throw unsupported(`the context ${path}`, 'fetch it first and give the folder');
  const context: ContextSource = { kind: 'dir', path };
  requireDirectory(path, host.cwd);
  if (file === undefined) return { context };
  if (file === '-') return { context, dockerfile: await dockerfileFromInput(host.stdin, 'Dockerfile') };
  if (isRemote(file)) throw unsupported(`the Dockerfile ${file}`, 'fetch it first and give the file');
  return { context, dockerfile: { kind: 'file', path: file } };
}

function isRemote(text: string): boolean {
  return (
    /^(?:https?|git|ssh|docker-image|oci-layout):\/\//.test(text) ||
    /^(?:git@[^:]+:|github\.com\/)/.test(text)
  );
}

function requireDirectory(path: string, cwd: string): void {
  let isDirectory: boolean;
  try {
    isDirectory = statSync(path).isDirectory();
  } catch (error) {
    throw new CairnError('CONTEXT_NOT_FOUND', {
      message: `unable to prepare context: path "${path}" not found`,
      help: `the last argument is the folder with the files to build from, relative to ${cwd}`,
      cause: error,
    });
  }
  if (!isDirectory)
    throw new CairnError('CONTEXT_NOT_FOUND', {
      message: `unable to prepare context: "${path}" is not a directory`,
      help: 'give the Dockerfile with -f and the folder as last argument',
    });
}

async function dockerfileFromInput(
  stdin: InputStream,
  what: 'context' | 'Dockerfile',
): Promise<DockerfileSource> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stdin.chunks()) {
    if (size === 0 && what === 'context' && isArchive(chunk))
      throw unsupported('a build context that is an archive', 'unpack it and give the folder');
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxDockerfileBytes)
      throw new CairnError('USAGE', { message: 'standard input is too long for a Dockerfile', exitCode: 2 });
  }
  return { kind: 'text', text: Buffer.concat(chunks), name: 'Dockerfile' };
}

/** gzip, bzip2, xz, zstd, or tar. */
function isArchive(head: Uint8Array): boolean {
  const hex = Buffer.from(head.subarray(0, 6)).toString('hex');
  const isCompressed = ['1f8b', '425a68', 'fd377a585a00', '28b52ffd'].some((magic) => hex.startsWith(magic));
  return isCompressed || Buffer.from(head.subarray(257, 262)).toString('latin1') === 'ustar';
}
