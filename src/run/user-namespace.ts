import { readFileSync } from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { isMappedId } from '../sys/index.ts';
import type { SandboxUser } from './contracts.ts';
import { findProgram } from './find-program.ts';

/**
 * A command is to run as a user that this user namespace has no id for.
 * @throws {CairnError} SANDBOX_UNAVAILABLE
 */
export function checkMapped({ uid, gid }: SandboxUser): void {
  if (isMappedId('uid', uid) && isMappedId('gid', gid)) return;
  throw new CairnError('SANDBOX_UNAVAILABLE', {
    message: `no command can run as user ${uid}:${gid} here: the user namespace has no such ids`,
    help: 'install uidmap (newuidmap) and give your user a range in /etc/subuid and /etc/subgid, or run cairn as root',
  });
}

/**
 * The argv to put before a command line so that an ordinary user becomes root of a user namespace, in which sandboxes (crun, builtin)
 * work: with the user's subordinate ids where newuidmap and /etc/subuid give any, else with the single id of the user. The mount
 * and PID namespaces belong to it, without which a process could not return from a step's (sys `inNewNamespaces`).
 * @param user.name - as /etc/subuid has it.
 * @param user.onlyOwnId - leaves the subordinate ids out.
 * @returns null where util-linux's unshare is missing.
 */
export function userNamespaceCommand(
  env: Readonly<Record<string, string | undefined>>,
  user: { readonly name: string; readonly uid: number; readonly onlyOwnId?: boolean },
): readonly string[] | null {
  const unshare = findProgram('unshare', env);
  if (unshare === null) return null;
  const hasRange = ['/etc/subuid', '/etc/subgid'].every((file) => hasEntry(file, user));
  const mapAll =
    user.onlyOwnId !== true && hasRange && findProgram('newuidmap', env) !== null ? ['--map-auto'] : [];
  return [
    unshare,
    ...['--user', '--map-root-user', ...mapAll],
    ...['--mount', '--propagation', 'slave', '--pid', '--fork', '--kill-child', '--mount-proc', '--'],
  ];
}

function hasEntry(file: string, { name, uid }: { readonly name: string; readonly uid: number }): boolean {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .some((line) => line.startsWith(`${name}:`) || line.startsWith(`${uid}:`));
  } catch {
    return false;
  }
}
