import { readdirSync, readFileSync } from 'node:fs';

/**
 * Finds the process id, as this process sees it, of the command that a supervisor runs: the init of a PID namespace inside the
 * supervisor's own one.
 * @param isRuntime - tells a process that is not the command yet by its command line.
 * @returns null before the command is there and after it has ended.
 */
export function findCommand(
  supervisor: number,
  isRuntime: (commandLine: readonly string[]) => boolean,
): number | null {
  const own = levelsOf(read('/proc/self/status')).length;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const status = read(`/proc/${name}/status`);
    const levels = levelsOf(status);
    if (levels.length !== own + 2 || levels.at(-1) !== '1' || !isBelow(status, supervisor)) continue;
    const commandLine = read(`/proc/${name}/cmdline`).split('\0');
    return isRuntime(commandLine) ? null : Number(name);
  }
  return null;
}

/** The process's id in each PID namespace that it is in, outermost first. */
function levelsOf(status: string): readonly string[] {
  return /^NSpid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/) ?? [];
}

/** Its parent is the supervisor, or a runtime whose parent is. */
function isBelow(status: string, supervisor: number): boolean {
  const parent = parentOf(status);
  return parent === supervisor || parentOf(read(`/proc/${parent}/status`)) === supervisor;
}

function parentOf(status: string): number | null {
  const parent = /^PPid:\s*(\d+)$/m.exec(status)?.[1];
  return parent === undefined ? null : Number(parent);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended meanwhile.
    return '';
  }
}
