import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path));

/** Whether a static busybox is there to make root file systems from. */
export const hasBusybox = busybox !== undefined;

/**
 * A root file system in a new folder: busybox, its applets, passwd and group, /tmp. It has none of /etc/hosts, /proc, /sys, /dev,
 * so that a sandbox has to make their mount points.
 */
export function makeBusyboxRoot(folder: string): string {
  mkdirSync(join(folder, 'bin'), { recursive: true });
  copyFileSync(busybox!, join(folder, 'bin/busybox'));
  const applets = execFileSync(busybox!, ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const applet of applets.filter((name) => name !== 'busybox')) {
    symlinkSync('busybox', join(folder, 'bin', applet));
  }
  mkdirSync(join(folder, 'etc'));
  writeFileSync(join(folder, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n');
  writeFileSync(join(folder, 'etc/group'), 'root:x:0:\nuser:x:1000:\n');
  mkdirSync(join(folder, 'tmp'), { mode: 0o1777 });
  return folder;
}
