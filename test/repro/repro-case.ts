import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { obstacle, stage } from '../compare/fixture.ts';
import { fixturesWithoutRun } from '../support/fixtures-without-run.ts';

/** A Dockerfile with its context, built in every environment. */
export interface ReproCase {
  readonly name: string;
  readonly folder: string;
  /** Words for `build`. */
  readonly args: readonly string[];
  readonly hasRun: boolean;
  /** Written to differ, so that a matrix that sees nothing would be noticed; not one of the realistic ones. */
  readonly isControl: boolean;
  /** Why it is known to differ, from the Dockerfile's `# differs:` line: RUN itself writes something random. */
  readonly cause?: string;
  /** What its author would change. */
  readonly fix?: string;
  /** Makes the context in a fresh folder. */
  stage(): string;
}

/** The realistic Dockerfiles of this matrix. */
const reproFolder = resolve(import.meta.dirname, '../../fixtures/repro');

/** fixtures/repro, all with RUN, then those of fixtures/builds without. */
export function reproCases(only: readonly string[]): readonly ReproCase[] {
  const realistic = readdirSync(reproFolder)
    .sort()
    .map((name) => realisticCase(name));
  const withoutRun = fixturesWithoutRun()
    .filter((fixture) => obstacle(fixture) === undefined && fixture.args.length === 0)
    .map((fixture) => ({
      name: fixture.name,
      folder: fixture.folder,
      args: fixture.args,
      hasRun: false,
      isControl: false,
      stage: () => stage(fixture),
    }));
  const all = [...realistic, ...withoutRun];
  return only.length === 0 ? all : all.filter(({ name }) => only.includes(name));
}

function realisticCase(name: string): ReproCase {
  const folder = join(reproFolder, name);
  const text = readFileSync(join(folder, 'Dockerfile'), 'utf8');
  const [cause, fix] = ['differs', 'fix'].map((key) => new RegExp(`^# ${key}: (.*)$`, 'm').exec(text)?.[1]);
  return {
    name,
    folder,
    args: [],
    hasRun: true,
    isControl: /^# control\b/m.test(text),
    ...(cause === undefined ? {} : { cause }),
    ...(fix === undefined ? {} : { fix }),
    stage: () =>
      stage({
        name,
        folder,
        about: '',
        rows: [],
        args: [],
        rules: [],
        network: true,
        root: false,
        programs: [],
      }),
  };
}
