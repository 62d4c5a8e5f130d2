import * as fs from 'node:fs';
import { join } from 'node:path';
import { listReadable } from './durable-file.ts';
import { isSystemError } from './store-error.ts';

/** Allocated bytes below a folder; hard links count once. What vanishes or may not be read meanwhile counts nothing. */
export function treeBytes(root: string): number {
  const seen = new Set<string>();
  let bytes = 0;
  const visit = (path: string | Buffer) => {
    let stat: fs.Stats;
    let names: readonly Buffer[] = [];
    try {
      stat = fs.lstatSync(path);
      if (stat.isDirectory()) names = fs.readdirSync(path, { encoding: 'buffer' });
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'EACCES', 'ENOTDIR')) return;
      throw error;
    }
    const inode = `${stat.dev}:${stat.ino}`;
    if (stat.nlink === 1 || stat.isDirectory() || !seen.has(inode)) bytes += stat.blocks * 512;
    seen.add(inode);
    for (const name of names) visit(Buffer.concat([Buffer.from(path), Buffer.from('/'), name]));
  };
  for (const name of listReadable(root)) visit(join(root, name));
  return bytes;
}
