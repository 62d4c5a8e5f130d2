import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { check, libc } from './libc.ts';

/** Makes the names in a folder durable: what was created, renamed or removed in it survives a power cut. */
export function syncFolder(path: string): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes everything that is cached for the file system `path` lies on: one call instead of an fsync per file. */
export function syncFileSystem(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    check(libc().syncfs(fd), 'syncfs', path);
  } finally {
    closeSync(fd);
  }
}
