import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** Everything below a folder, one line each: path, type, mode, owner, and content, link target or device. */
export function listTree(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return names.map((name) => {
    const stats = lstatSync(join(folder, name));
    const mode = (stats.mode & 0o7777).toString(8);
    return `${name} ${describe(join(folder, name), stats)} ${mode} ${stats.uid}:${stats.gid}`;
  });
}

function describe(path: string, stats: Stats): string {
  if (stats.isDirectory()) return 'dir';
  if (stats.isSymbolicLink()) return `link(${readlinkSync(path)})`;
  if (stats.isFile()) return `file(${stats.size < 200 ? readFileSync(path, 'latin1') : stats.size})`;
  if (stats.isCharacterDevice()) return `char(${stats.rdev})`;
  return stats.isBlockDevice() ? `block(${stats.rdev})` : 'other';
}
