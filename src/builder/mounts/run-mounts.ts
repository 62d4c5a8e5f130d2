import { CairnError } from '../../errors/index.ts';
import type { Digest } from '../../oci/index.ts';
import {
  type CacheMount,
  expandWord,
  type MountSpec,
  parseMount,
  type RunInstruction,
} from '../../parser/index.ts';
import { toBytes, toText } from '../../sys/index.ts';
import { type KeyValue, keyOf } from '../cache-key.ts';
import { cleanPath } from '../copy/resolve-path.ts';
import type { AccountLists, AccountMount } from '../explain/account.ts';
import type { StageSource } from '../plan.ts';
import type { BuildSession } from '../session.ts';
import { type StageState, workingDirOf } from '../stage-state.ts';
import { lookup } from '../steps/metadata.ts';
import { type MountContent, mountContent } from './mount-content.ts';

/** One mount of a RUN, expanded, with an absolute target, and the files that it shows or starts with. */
export type RunMount = MountSpec & { readonly content?: MountContent };

/** The mounts of a RUN before it runs: enough for its cache key. */
export interface RunMounts {
  readonly mounts: readonly RunMount[];
  /** What of them decides about the result (rows M12, Z08): contents of binds; never secrets, agents and caches. */
  readonly key: KeyValue;
  /** The same for people. */
  readonly account: () => { readonly mounts: readonly AccountMount[]; readonly lists: AccountLists };
  /** SSH_AUTH_SOCK, which is set with or without an agent; outside of the image's config. */
  readonly sshAuthSock: string | undefined;
}

/**
 * Reads the `--mount` flags of a RUN in the state's environment and looks at what they mount.
 * @throws {CairnError} MOUNT_INVALID, MOUNT_SOURCE_NOT_FOUND and what expansion throws, with the place
 */
export async function readRunMounts(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  sources: readonly (StageSource | undefined)[] | undefined,
): Promise<RunMounts> {
  const workingDir = workingDirOf(state);
  const mounts: RunMount[] = [];
  let agents = 0;
  for (const [i, word] of instruction.mounts.entries()) {
    const expand = (text: string): string =>
      expandWord({ text, span: word.span }, lookup(state), { escape: session.escape }).text;
    const spec = placed(parseMount(word, expand), workingDir, agents);
    if (spec.type === 'ssh') agents++;
    const content = await contentOf(session, spec, sources?.[i]);
    mounts.push({ ...spec, ...(content ? { content } : {}) });
  }
  const ssh = mounts.find((mount) => mount.type === 'ssh');
  return {
    mounts,
    key: mounts.map(keyParts),
    account: () => ({
      mounts: mounts.map(accountOf),
      lists: new Map(
        mounts.flatMap(({ content }) => (content?.files ? [[listOf(content), content.files] as const] : [])),
      ),
    }),
    sshAuthSock: ssh?.type === 'ssh' ? ssh.target : undefined,
  };
}

/** The mount with an absolute target; of an SSH mount, BuildKit's by default. */
function placed(spec: MountSpec, workingDir: string, agents: number): MountSpec {
  if (spec.type === 'ssh')
    return {
      ...spec,
      target: absolute(spec, spec.target ?? `/run/buildkit/ssh_agent.${agents}`, workingDir),
    };
  if (spec.type === 'secret')
    return spec.target === undefined ? spec : { ...spec, target: absolute(spec, spec.target, workingDir) };
  return { ...spec, target: absolute(spec, spec.target, workingDir) };
}

function absolute({ word }: MountSpec, target: string, workingDir: string): string {
  const joined = target.startsWith('/') ? target : `${workingDir}/${target}`;
  const clean = `/${toText(cleanPath(toBytes(joined)))}`;
  if (clean !== '/') return clean;
  throw new CairnError('MOUNT_INVALID', {
    message: target === '' ? 'the mount has no target' : `invalid mount target "${target}"`,
    at: word.span,
    help: 'mount on a directory or file below "/": target=/src',
  });
}

/** Files to show, or for a new cache to start with. */
function contentOf(
  session: BuildSession,
  spec: MountSpec,
  from: StageSource | undefined,
): Promise<MountContent> | undefined {
  if (spec.type === 'bind')
    return mountContent(session, { from, fromName: spec.from, path: spec.source, word: spec.word });
  if (spec.type !== 'cache' || from === undefined || startsEmpty(spec)) return undefined;
  return mountContent(session, { from, fromName: spec.from, path: spec.source, word: spec.word });
}

/**
 * A cache with attributes of its own and no `source` starts as an empty folder that has them, also with a `from` (measured with
 * BuildKit: there it is a folder made beside the files of `from`).
 */
export function startsEmpty(spec: CacheMount): boolean {
  return isRoot(spec.source) && attributesOf(spec) !== undefined;
}

/** What a fresh folder gets; undefined when nothing was asked for. */
export function attributesOf(spec: CacheMount): { mode: number; uid: number; gid: number } | undefined {
  const { mode, uid, gid } = spec;
  if (mode === undefined && uid === undefined && gid === undefined) return undefined;
  return { mode: mode ?? 0o755, uid: uid ?? 0, gid: gid ?? 0 };
}

export function isRoot(source: string): boolean {
  return cleanPath(source) === '';
}

function keyParts(mount: RunMount): KeyValue {
  switch (mount.type) {
    case 'bind':
      return ['bind', mount.target, mount.readOnly, mount.content?.key ?? null];
    case 'cache': {
      const attributes = startsEmpty(mount) ? Object.entries(attributesOf(mount) ?? {}) : [];
      const path = mount.content ? '' : cleanPath(mount.source);
      return ['cache', mount.target, mount.readOnly, path, attributes, mount.content?.key ?? null];
    }
    case 'tmpfs':
      return ['tmpfs', mount.target, mount.readOnly, mount.sizeBytes];
    case 'secret':
      return ['secret', mount.id, mount.target ?? null, mount.env ?? null, mount.mode, mount.uid, mount.gid];
    case 'ssh':
      return ['ssh', mount.id, mount.target ?? null, mount.mode, mount.uid, mount.gid];
  }
}

/** The same files from elsewhere have the same key, and are another list for people. */
function listOf({ key, path }: MountContent): Digest {
  return keyOf([key, path ?? null]);
}

function accountOf(mount: RunMount): AccountMount {
  const where = mount.target ?? (mount.type === 'secret' ? `$${mount.env ?? ''}` : '');
  const parts = keyParts(mount) as readonly KeyValue[];
  const from = mount.type === 'bind' || mount.type === 'cache' ? (mount.from ?? '') : '';
  return {
    title: `the ${mount.type} mount at ${where}${from === '' ? '' : ` from "${from}"`}`,
    settings: JSON.stringify(parts.filter((part) => part !== mount.content?.key)),
    ...(mount.content ? { files: listOf(mount.content) } : {}),
  };
}
