import { spawnSync } from 'node:child_process';
import { beforeEach } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** Why a test was skipped: printed by scripts/test.sh. */
    skipReason?: string;
  }
}

/** Skips every test of the surrounding file or `describe`, saying why, when there is a reason. */
export function skipBecause(reason: string | undefined): void {
  beforeEach((context) => {
    if (reason === undefined) return;
    context.task.meta.skipReason = reason;
    context.skip(reason);
  });
}

/** The first reason that holds. */
export function firstOf(...reasons: (string | undefined)[]): string | undefined {
  return reasons.find((reason) => reason !== undefined);
}

/** A reason when this is not root. */
export function unlessRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'needs root';
}

/** A reason when one of the programs is not installed. */
export function unlessInstalled(...programs: string[]): string | undefined {
  const missing = programs.find((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  return missing === undefined ? undefined : `needs the program ${missing}`;
}
