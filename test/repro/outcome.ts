import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { compareFiles } from '../compare/difference.ts';
import { flatten } from '../compare/flatten.ts';
import { openArchive } from '../compare/image-archive.ts';
import { type Builder, cairn } from './build-in.ts';
import type { ReproCase } from './repro-case.ts';

/** What a case came to in each environment. */
export interface Outcome {
  readonly case: ReproCase;
  /** Image IDs, or what went wrong, by environment. */
  readonly results: ReadonlyMap<string, { readonly id: string } | { readonly error: string }>;
  /** Files that differ between the first environment and another one, when images do. */
  readonly files: readonly string[];
}

/** Whether every environment gave the same image. */
export function isSame({ results }: Outcome): boolean {
  const ids = [...results.values()].map((result) => ('id' in result ? result.id : ''));
  return !ids.includes('') && new Set(ids).size === 1;
}

/** Whether it could not be built somewhere: nothing about reproducibility. */
export function isBroken({ results }: Outcome): boolean {
  return [...results.values()].some((result) => 'error' in result);
}

/** The files in which the images of a tag differ between two stores. */
export async function differingFiles(
  first: Builder,
  second: Builder,
  tag: string,
): Promise<readonly string[]> {
  const paths: string[] = [];
  try {
    const images = [];
    for (const builder of [first, second]) {
      const path = join(builder.root, '..', `${tag.replace(/\W/g, '-')}.tar`);
      const { status, stderr } = await cairn(builder, ['save', '-o', path, tag]);
      paths.push(path);
      if (status !== 0) return [`(cannot be compared: ${stderr.trim().split('\n').at(-1)})`];
      images.push(openArchive(path));
    }
    const [a, b] = images.map((image) => flatten(image.layers));
    const differences = compareFiles(a!, b!).map(({ where, field }) => `/${where} (${field})`);
    for (const image of images) image.close();
    return differences.length > 0 ? differences : ['(only times, or what a later layer hides)'];
  } finally {
    for (const path of paths) rmSync(path, { force: true });
  }
}
