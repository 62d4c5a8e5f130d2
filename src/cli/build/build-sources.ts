import { statSync } from 'node:fs';
import { type ContextSource, contextOf, type DockerfileSource } from '../../builder/index.ts';
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
 * What `PATH | URL | -` and `-f` mean. On standard input may come a tar (the context) or a Dockerfile.
 * @throws {CairnError} CONTEXT_NOT_FOUND, GIT_URL_INVALID, USAGE for a Dockerfile from a URL
 */
export async function buildSources(
  host: Host,
  path: string,
  file: string | undefined,
): Promise<BuildSources> {
  if (path === '-' && file === '-')
    throw new UsageError('invalid argument: cannot use stdin for both build context and dockerfile');
  const context: ContextSource =
    path === '-' ? { kind: 'stream', bytes: host.stdin.chunks() } : contextOf(path);
  if (context.kind === 'dir') requireDirectory(context.path, host.cwd);
  if (file === undefined) return { context };
  if (file === '-') return { context, dockerfile: await dockerfileFromInput(host.stdin) };
  if (/^https?:\/\//.test(file))
    throw unsupported(`the Dockerfile ${file}`, 'fetch it first and give the file');
  return { context, dockerfile: { kind: 'file', path: file } };
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

async function dockerfileFromInput(stdin: InputStream): Promise<DockerfileSource> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stdin.chunks()) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > maxDockerfileBytes)
      throw new CairnError('USAGE', { message: 'standard input is too long for a Dockerfile', exitCode: 2 });
  }
  return { kind: 'text', text: Buffer.concat(chunks), name: 'Dockerfile' };
}
