import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';

// Runtimes and system tools live in sbin, which an ordinary user's PATH may lack.
const systemFolders = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/**
 * Finds a program on the host: in the absolute folders of PATH, then in the system's own. Never inside an image.
 * @returns its absolute path, or null.
 */
export function findProgram(name: string, env: Readonly<Record<string, string | undefined>>): string | null {
  const folders = (env.PATH ?? '').split(':').filter(isAbsolute);
  for (const folder of [...folders, ...systemFolders]) {
    const path = join(folder, name);
    if (isExecutable(path)) return path;
  }
  return null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
