import { closeSync, constants, openSync } from 'node:fs';
import { check, libc } from './libc.ts';
import { mount } from './mount.ts';

const newMounts = 0x00020000;
const newPids = 0x20000000;
// O_PATH (0o10000000 on every architecture that Node runs on) names a folder without opening it for reading.
const pathOnly = 0o10000000 | constants.O_DIRECTORY;

/**
 * Runs `action` on the calling thread inside a mount namespace of its own, and brings the thread back to where it
 * was (namespaces, root and working directory) before returning, so that nothing else in this process notices.
 * The new namespace starts as a copy that receives the old one's changes but sends none back: what `action` mounts
 * is never seen outside. Processes that it starts stay in the namespace, which ends with the last of them, its
 * mounts with it, however they or this process die. The first process it starts becomes init (PID 1) of a PID
 * namespace of its own; start exactly one.
 *
 * `action` must be synchronous: asynchronous file calls run on other threads, which never leave the old namespace.
 * From the first call on, `process.chdir` and `process.umask` on this thread no longer reach threads that exist
 * already (unshare(2), CLONE_NEWNS implies CLONE_FS).
 *
 * @throws SystemError EPERM without CAP_SYS_ADMIN and CAP_SYS_CHROOT.
 */
export function inNewNamespaces<T>(action: () => T): T {
  const before = openCurrent();
  try {
    check(libc().unshare(newMounts | newPids), 'unshare');
    try {
      mount('/', { flags: ['recursive', 'slave'] });
      return action();
    } finally {
      goBack(before);
    }
  } finally {
    for (const fd of Object.values(before)) closeSync(fd);
  }
}

interface Place {
  readonly mounts: number;
  readonly pids: number;
  readonly root: number;
  readonly folder: number;
}

function openCurrent(): Place {
  return {
    mounts: openSync('/proc/thread-self/ns/mnt', 'r'),
    pids: openSync('/proc/thread-self/ns/pid_for_children', 'r'),
    root: openSync('/', pathOnly),
    folder: openSync('.', pathOnly),
  };
}

/** setns(2) to a mount namespace moves root and working directory to its root: both are restored after it. */
function goBack(place: Place): void {
  check(libc().setns(place.mounts, newMounts), 'setns', 'mnt');
  check(libc().setns(place.pids, newPids), 'setns', 'pid_for_children');
  check(libc().fchdir(place.root), 'fchdir', '/');
  check(libc().chroot('.'), 'chroot', '/');
  check(libc().fchdir(place.folder), 'fchdir', '.');
}
