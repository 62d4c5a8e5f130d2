import { statSync } from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { KeyAgent } from './key-agent.ts';

export interface SshSourcesOptions {
  /** Id to the socket of an agent, or to private keys. */
  readonly sources: Readonly<Record<string, readonly string[]>>;
  /** PATH of the host, for finding ssh-agent. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A fresh private folder. */
  readonly scratch: () => string;
}

/**
 * The SSH agents that a build may use: agents of the user, and private ones that hold nothing but the keys of one id. Those are
 * started when first needed.
 */
export class SshSources {
  readonly #options: SshSourcesOptions;
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #agents = new Map<string, Promise<KeyAgent>>();

  /** @throws {CairnError} SSH_INVALID before anything is built */
  constructor(options: SshSourcesOptions) {
    this.#options = options;
    this.#sources = new Map(
      Object.entries(options.sources).map(([id, paths]) => [id, classify(id, paths)] as const),
    );
  }

  /** Path of an agent's socket; null for an id that was not given. @throws {CairnError} SSH_INVALID, PROGRAM_NOT_FOUND */
  async socketOf(id: string): Promise<string | null> {
    const source = this.#sources.get(id);
    if (source === undefined) return null;
    if (source.kind === 'socket') return source.path;
    const { env, scratch } = this.#options;
    const agent = this.#agents.get(id) ?? KeyAgent.start({ keys: source.paths, env, folder: scratch() });
    this.#agents.set(id, agent);
    return (await agent).socket;
  }

  /** Ends the private agents. */
  close(): void {
    for (const agent of this.#agents.values())
      agent.then(
        (started) => started.stop(),
        // Whoever wanted it was told.
        () => undefined,
      );
  }
}

type Source =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'keys'; readonly paths: readonly string[] };

function classify(id: string, paths: readonly string[]): Source {
  const sockets = paths.filter((path) => isSocket(id, path));
  const [socket] = sockets;
  if (socket === undefined && paths.length > 0) return { kind: 'keys', paths };
  if (socket !== undefined && paths.length === 1) return { kind: 'socket', path: socket };
  throw new CairnError('SSH_INVALID', {
    message:
      socket === undefined
        ? `--ssh ${id} has neither a socket nor a key`
        : `--ssh ${id} names the socket "${socket}" and something else beside it`,
    help: 'an id stands for one agent socket, or for one or more private keys',
  });
}

function isSocket(id: string, path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch (error) {
    throw new CairnError('SSH_INVALID', {
      message: `--ssh ${id}: cannot use "${path}": ${(error as NodeJS.ErrnoException).code ?? 'error'}`,
      help: 'check the path; for the keys of a running agent, SSH_AUTH_SOCK must be set',
      cause: error,
    });
  }
}
