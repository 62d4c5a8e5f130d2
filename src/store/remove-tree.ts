import * as fs from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from './store-error.ts';

/**
 * Removes a file or a whole folder, following no link. Folders whose mode keeps their own owner out (an image
 * may hold such) are opened first.
 * @returns false when something had to stay, such as files of other users in a rootless store
 */
export function removeTree(path: string): boolean {
  for (const prepare of [null, openFolders]) {
    try {
      prepare?.(path);
      fs.rmSync(path, { recursive: true, force: true, maxRetries: 2 });
      return true;
    } catch (error) {
      if (!isSystemError(error, 'EACCES', 'EPERM', 'ENOTEMPTY', 'EBUSY')) throw error;
    }
  }
  return false;
}

/** Names are read as bytes: rootfs trees hold any. */
function openFolders(path: string | Buffer): void {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  if (!stat?.isDirectory()) return;
  if ((stat.mode & 0o700) !== 0o700) {
    try {
      fs.chmodSync(path, 0o700);
    } catch (error) {
      if (!isSystemError(error, 'EPERM')) throw error;
      return;
    }
  }
  const prefix = Buffer.concat([Buffer.from(path), Buffer.from('/')]);
  for (const name of fs.readdirSync(path, { encoding: 'buffer' })) openFolders(Buffer.concat([prefix, name]));
}

/**
 * Moves a tree to a place in the same file system, where it may be removed without anyone seeing it half gone. What is gone
 * already, or cannot be moved (another user's), stays as it is.
 */
export function moveAway(path: string, trash: string, name: string): void {
  for (const prepare of [null, openFolder]) {
    try {
      prepare?.(path);
      fs.renameSync(path, join(trash, name));
      return;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT', 'EACCES', 'EPERM')) throw error;
    }
  }
}

/** Moving a folder changes its "..": its owner needs to be allowed to write it. */
function openFolder(path: string): void {
  fs.chmodSync(path, 0o700);
}
