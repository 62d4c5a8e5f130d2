import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Fixture, findFixtures, fixturesFolder } from '../compare/fixture.ts';

/** The fixtures whose Dockerfiles run nothing: they build without privileges, and must be reproducible to the bit. */
export function fixturesWithoutRun(): Fixture[] {
  return findFixtures(fixturesFolder).filter(
    (fixture) => !/^\s*(onbuild\s+)?run\b/im.test(dockerfiles(fixture.folder)),
  );
}

function dockerfiles(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('Dockerfile'),
  );
  return names.map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
}
