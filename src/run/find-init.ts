import { readdirSync, readFileSync } from 'node:fs';

/**
 * Finds the process id, as this process sees it, of the command that a supervisor runs: the init of the PID namespace inside the
 * supervisor's own one, two steps below it.
 * @returns null before it is started and after it has ended.
 */
export function findInit(supervisorPid: number): number | null {
  const own = levelsOf('/proc/self/status');
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = readStatus(`/proc/${name}/status`);
    const levels = /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
    if (levels.length !== own + 2 || levels.at(-1) !== '1') continue;
    const parent = parentOf(status);
    if (parent !== null && parentOf(readStatus(`/proc/${parent}/status`)) === supervisorPid)
      return Number(name);
  }
  return null;
}

function levelsOf(path: string): number {
  return /^NSpid:\s*(.*)$/m.exec(readStatus(path))?.[1]?.split(/\s+/).length ?? 1;
}

function parentOf(status: string): number | null {
  const parent = /^PPid:\s*(\d+)$/m.exec(status)?.[1];
  return parent === undefined ? null : Number(parent);
}

function readStatus(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended meanwhile.
    return '';
  }
}
