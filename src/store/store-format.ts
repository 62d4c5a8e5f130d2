import * as fs from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { readIfExists, replaceFile } from './durable-file.ts';
import type { StorePaths } from './store-paths.ts';

/** Version of the layout below ROOT. Raised when an older Cairn would misread what a newer one writes. */
export const storeFormat = 1;

/**
 * Steps from format n to n + 1, by n. Each runs under the exclusive gc lock with no other process at work, and
 * must be safe to repeat: the version is only raised after it. Format 1 is the first.
 */
export const migrations: Readonly<Record<number, (paths: StorePaths) => void>> = {};

/**
 * The format of the store at `paths`: null when there is no store yet (the folder is missing or empty).
 * @throws {CairnError} STORE_INVALID for a folder that holds something else
 * @throws {CairnError} STORE_TOO_NEW
 */
export function readStoreFormat(paths: StorePaths): number | null {
  const content = readIfExists(paths.format);
  if (content === null) {
    if (isFree(paths.root)) return null;
    throw new CairnError('STORE_INVALID', {
      message: `${paths.root} is not empty and is not a Cairn store`,
      help: 'choose an empty or new folder with --root; "cairn load" reads an OCI layout that another tool made',
    });
  }
  const format = parseFormat(content.toString());
  if (format === null)
    throw new CairnError('STORE_INVALID', {
      message: `${paths.format} does not hold a format version`,
      help: `write {"format":${storeFormat}} to it if this is a store, then run "cairn fsck"`,
    });
  if (format > storeFormat)
    throw new CairnError('STORE_TOO_NEW', {
      message: `the store ${paths.root} has format ${format}; this Cairn knows formats up to ${storeFormat}`,
      help: 'use the newer Cairn that made it, or choose another folder with --root',
    });
  return format;
}

/** Writes the version; the first file of a new store, so that a half-made one is known as ours. */
export function writeStoreFormat(paths: StorePaths, format: number): void {
  const temporary = `${paths.format}.${process.pid}.tmp`;
  replaceFile(paths.format, `${JSON.stringify({ format })}\n`, { temporary, mode: 0o644 });
}

/** Leftovers of a store whose making was cut off before the version file was in place do not count. */
function isFree(root: string): boolean {
  const stat = fs.statSync(root, { throwIfNoEntry: false });
  if (stat === undefined) return true;
  if (!stat.isDirectory()) return false;
  return fs
    .readdirSync(root)
    .every((name) => /^cairn-store\.json\.\d+\.tmp$/.test(name) || name === 'lost+found');
}

function parseFormat(text: string): number | null {
  try {
    const value: unknown = JSON.parse(text);
    const format = value !== null && typeof value === 'object' && 'format' in value ? value.format : null;
    return Number.isSafeInteger(format) && (format as number) >= 0 ? (format as number) : null;
  } catch {
    return null;
  }
}
