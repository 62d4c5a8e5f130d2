import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import type { CacheMount, SecretMount, SshMount } from '../../parser/index.ts';
import type { SandboxMount } from '../../run/contracts.ts';
import type { CacheMountRequest, HeldCacheMounts } from '../../store/contracts.ts';
import { cleanPath } from '../copy/resolve-path.ts';
import type { BuildSession } from '../session.ts';
import { AgentRelay } from './agent-relay.ts';
import type { MountContent } from './mount-content.ts';
import { attributesOf, isRoot, type RunMount, startsEmpty } from './run-mounts.ts';

/** Mounts of a command that is about to run. */
export interface OpenRunMounts {
  /** In the order of the instruction. */
  readonly mounts: readonly SandboxMount[];
  /** Secrets as variables, which replace others of their names. */
  readonly env: ReadonlyMap<string, string>;
  /** Frees caches and closes sockets. Call it when the command is over. */
  close(): void;
}

/**
 * Makes ready what a RUN mounts: unpacks files, takes caches (waiting for locked ones), reads secrets, opens sockets.
 * @param scratch - a private folder of the step.
 * @throws {CairnError} SECRET_NOT_FOUND, SSH_NOT_FOUND with the place, SECRET_INVALID, SSH_INVALID …
 */
export async function openRunMounts(
  session: BuildSession,
  mounts: readonly RunMount[],
  scratch: string,
): Promise<OpenRunMounts> {
  const opener = new Opener(session, scratch);
  try {
    // What can fail at once comes before what may wait.
    const open = mounts.map((mount) => (mount.type === 'secret' ? opener.secret(mount) : null));
    for (const [i, mount] of mounts.entries()) {
      if (mount.type === 'ssh') open[i] = await opener.ssh(mount);
      else if (mount.type === 'tmpfs') open[i] = tmpfs(mount);
      else if (mount.type === 'bind') open[i] = await bind(mount, mount.content as MountContent);
    }
    const caches = mounts.flatMap((mount, i) => (mount.type === 'cache' ? [{ mount, i }] : []));
    const paths = await opener.caches(caches.map(({ mount }) => mount));
    for (const [n, { mount, i }] of caches.entries()) open[i] = cache(mount, paths[n] as string);
    return {
      mounts: open.filter((mount) => mount !== null),
      env: opener.env,
      close: () => opener.close(),
    };
  } catch (error) {
    opener.close();
    throw error;
  }
}

/** Collects what has to be closed. */
class Opener {
  readonly env = new Map<string, string>();
  readonly #session: BuildSession;
  readonly #scratch: string;
  readonly #relays: AgentRelay[] = [];
  #held: HeldCacheMounts | undefined;

  constructor(session: BuildSession, scratch: string) {
    this.#session = session;
    this.#scratch = scratch;
  }

  /** An optional secret that was not given is no file, and an empty variable (measured with BuildKit). */
  secret(mount: SecretMount): SandboxMount | null {
    const content = this.#session.secrets.read(mount.id);
    if (content === null && mount.required)
      throw new CairnError('SECRET_NOT_FOUND', {
        message: `secret ${mount.id}: not found`,
        at: mount.word.span,
        help: `give it: --secret id=${mount.id},src=FILE or --secret id=${mount.id},env=VARIABLE`,
      });
    if (mount.env !== undefined)
      this.env.set(mount.env, content === null ? '' : Buffer.from(content).toString('utf8'));
    if (content === null || mount.target === undefined) return null;
    const { target, mode, uid, gid } = mount;
    return { kind: 'file', content, target, mode, uid, gid };
  }

  async ssh(mount: SshMount): Promise<SandboxMount | null> {
    const agent = await this.#session.ssh.socketOf(mount.id);
    if (agent === null) {
      if (!mount.required) return null;
      throw new CairnError('SSH_NOT_FOUND', {
        message: `no SSH key "${mount.id}" forwarded from the client`,
        at: mount.word.span,
        help: `give an agent or keys: --ssh ${mount.id === 'default' ? 'default' : `${mount.id}=SOCKET-OR-KEY`}`,
      });
    }
    const folder = join(this.#scratch, `ssh-${this.#relays.length}`);
    mkdirSync(folder, { mode: 0o700 });
    const { mode, uid, gid } = mount;
    const relay = await AgentRelay.open({ agent, folder, mode, uid, gid });
    this.#relays.push(relay);
    return { kind: 'bind', source: relay.path, target: mount.target as string, readOnly: false };
  }

  /** @returns host paths, one for each */
  async caches(
    mounts: readonly (CacheMount & { readonly content?: MountContent })[],
  ): Promise<readonly string[]> {
    if (mounts.length === 0) return [];
    const { store, signal, buildArgs } = this.#session;
    const namespace = buildArgs.BUILDKIT_CACHE_MOUNT_NS ?? '';
    const requests: CacheMountRequest[] = [];
    for (const mount of mounts) {
      const attributes = startsEmpty(mount) ? attributesOf(mount) : undefined;
      const seed = await mount.content?.layer();
      requests.push({
        namespace,
        id: mount.id,
        sharing: mount.sharing,
        ...(seed ? { seed } : {}),
        ...(attributes ? { attributes } : {}),
      });
    }
    this.#held = await store.cacheMounts.acquire(requests, signal);
    return this.#held.paths;
  }

  close(): void {
    this.#held?.release();
    for (const relay of this.#relays.splice(0)) relay.close();
  }
}

function tmpfs(mount: Extract<RunMount, { readonly type: 'tmpfs' }>): SandboxMount {
  const { target, readOnly, sizeBytes } = mount;
  return { kind: 'tmpfs', target, readOnly, ...(sizeBytes > 0 ? { sizeBytes } : {}) };
}

async function bind(
  { target, readOnly }: Extract<RunMount, { readonly type: 'bind' }>,
  content: MountContent,
): Promise<SandboxMount> {
  const { lowerDirs, path } = await content.unpacked();
  const [source] = lowerDirs;
  // A stack of layers is only right as an overlay, which hides its marks, also when it is a stack of one.
  if (readOnly && path !== '' && source !== undefined && lowerDirs.length === 1)
    return { kind: 'bind', source, path, target, readOnly };
  return { kind: 'overlay', lowerDirs, path, target, readOnly };
}

/** Without a `from`, `source` is a path in the cache itself. */
function cache(mount: CacheMount & { readonly content?: MountContent }, source: string): SandboxMount {
  const { target, readOnly } = mount;
  const isInside = mount.content === undefined && !isRoot(mount.source);
  return { kind: 'bind', source, ...(isInside ? { path: cleanPath(mount.source) } : {}), target, readOnly };
}
