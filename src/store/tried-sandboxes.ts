import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TriedSandboxes } from './contracts.ts';
import { isSystemError } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

/** cache/sandboxes: an empty file for each. What cannot be written is not remembered. */
export class FileTriedSandboxes implements TriedSandboxes {
  readonly #folder: string;
  readonly #session: WorkSession;

  constructor(paths: StorePaths, session: WorkSession) {
    this.#folder = paths.sandboxes;
    this.#session = session;
  }

  has(name: string): boolean {
    return existsSync(join(this.#folder, name));
  }

  add(name: string): void {
    this.#session.open();
    this.#attempt(() => {
      mkdirSync(this.#folder, { recursive: true });
      writeFileSync(join(this.#folder, name), '');
    });
  }

  remove(name: string): void {
    this.#attempt(() => rmSync(join(this.#folder, name), { force: true }));
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
}
