import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { baseDiffId } from './base-images.ts';
import { compareImages, type Difference } from './difference.ts';
import { basesUsed, buildAndSave, type Engine, importBases } from './engine.ts';
import { type Fixture, stage, temporaryFolder } from './fixture.ts';
import { openArchive } from './image-archive.ts';
import { generalRules, type Rule, ruleNamed } from './rules.ts';

export interface Comparison {
  /** What no rule covers: empty when the images agree. */
  readonly differences: readonly Difference[];
  /** How many differences each rule covered. */
  readonly covered: ReadonlyMap<string, number>;
}

export interface CompareOptions {
  readonly expected: Engine;
  readonly actual: Engine;
  /** Further words for both build commands. */
  readonly args?: readonly string[];
  /** Rules beside the fixture's own. */
  readonly rules?: readonly Rule[];
  /** Keep context and archives here instead of in a temporary folder. */
  readonly keep?: string;
}

/** Builds a fixture with both engines and compares the images. @throws {Error} when one of them cannot build it */
export function compareFixture(fixture: Fixture, options: CompareOptions): Comparison {
  const folder =
    options.keep === undefined ? temporaryFolder('cairn-compare-') : join(options.keep, fixture.name);
  mkdirSync(folder, { recursive: true });
  const context = stage(fixture);
  try {
    const bases = basesUsed(context);
    const archives = [options.expected, options.actual].map((engine) => {
      importBases(engine, bases);
      const target = join(folder, `${engine.name}.tar`);
      // What a mirror serves changes: a cached step of last month is no fair judge.
      const fresh = fixture.network && engine === options.expected ? ['--no-cache'] : [];
      buildAndSave(engine, fixture, { context, target, args: [...fresh, ...(options.args ?? [])] });
      return target;
    });
    const [expected, actual] = archives.map(openArchive);
    try {
      const all = compareImages(expected!, actual!, { baseDiffIds: new Set(bases.map(baseDiffId)) });
      return applyRules(all, [...generalRules, ...fixture.rules.map(ruleNamed), ...(options.rules ?? [])]);
    } finally {
      expected?.close();
      actual?.close();
    }
  } finally {
    rmSync(context, { recursive: true, force: true });
    if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

function applyRules(all: readonly Difference[], rules: readonly Rule[]): Comparison {
  const covered = new Map<string, number>();
  const differences = all.filter((difference) => {
    const rule = rules.find((candidate) => candidate.covers(difference));
    if (rule) covered.set(rule.name, (covered.get(rule.name) ?? 0) + 1);
    return !rule;
  });
  return { differences, covered };
}
