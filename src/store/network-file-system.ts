import { statfsSync } from 'node:fs';
import { isSystemError } from './store-error.ts';

/** linux/magic.h, and the file systems' own headers: file systems whose times another machine's clock stamps. */
const networkMagics: ReadonlySet<number> = new Set([
  0x6969, // nfs
  0x517b, // smb
  0xff534d42, // cifs
  0xfe534d42, // smb2
  0x01021997, // 9p (also shared folders of virtual machines)
  0x65735546, // fuse (sshfs, virtiofs, gluster …)
  0x00c36400, // ceph
  0x5346414f, // afs
  0x7461636f, // ocfs2
  0x01161970, // gfs2
  0x0bd00bd0, // lustre
]);

/** True when the folder lies on a file system that another machine serves, or when that cannot be told. */
export function isNetworkFileSystem(folder: string): boolean {
  try {
    return networkMagics.has(statfsSync(folder).type >>> 0);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ENOSYS')) return true;
    throw error;
  }
}
