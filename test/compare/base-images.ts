import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** A base image that fixtures/bases/make.sh makes. */
export interface BaseImage {
  readonly reference: string;
  readonly file: string;
  readonly change: string;
  /** Recognises a text that uses it. */
  readonly usedIn: RegExp;
}

export const baseImages: readonly BaseImage[] = [
  { reference: 'busybox:latest', file: 'busybox.tar', change: 'CMD ["sh"]', usedIn: /\bbusybox\b/ },
  { reference: 'debian:12', file: 'debian12.tar', change: 'CMD ["bash"]', usedIn: /\bdebian:12\b/ },
];

const script = resolve(import.meta.dirname, '../../fixtures/bases/make.sh');

/** Path of a base's tar, made when missing. @throws {Error} with the script's message when it cannot be made here */
export function baseTar(base: BaseImage): string {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const path = join(process.env.CAIRN_BASES ?? join(cache, 'cairn-bases'), base.file);
  if (!existsSync(path)) {
    const run = spawnSync('bash', [script, base.reference.split(':')[0]!], { encoding: 'utf8' });
    if (run.status !== 0)
      throw new Error(`the base image ${base.reference} could not be made: ${run.stderr}`);
  }
  return path;
}

const digests = new Map<string, string>();

/** The diffID that every engine gives the one layer of an imported base: the digest of its tar. */
export function baseDiffId(base: BaseImage): string {
  const path = baseTar(base);
  const known = digests.get(path);
  if (known !== undefined) return known;
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(1 << 20);
  const fd = openSync(path, 'r');
  try {
    for (let count = readSync(fd, chunk); count > 0; count = readSync(fd, chunk))
      hash.update(chunk.subarray(0, count));
  } finally {
    closeSync(fd);
  }
  const digest = `sha256:${hash.digest('hex')}`;
  digests.set(path, digest);
  return digest;
}
