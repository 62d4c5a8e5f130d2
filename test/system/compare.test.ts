import { describe, expect, test } from 'vitest';
import { compareFixture } from '../compare/compare-fixture.ts';
import { dockerEngine } from '../compare/engine.ts';
import { findFixtures, fixturesFolder, obstacle } from '../compare/fixture.ts';
import { describeDifferences } from '../compare/report.ts';
import { storeForFile } from '../support/image-store.ts';
import { firstOf, skipBecause, unlessRoot } from '../support/skip-because.ts';

const docker = dockerEngine();

describe("Cairn's image equals BuildKit's in every path, the configuration and the history", () => {
  const cairn = storeForFile();
  skipBecause(
    firstOf(unlessRoot(), docker ? undefined : 'needs a docker daemon (scripts/peers-up.sh starts one)'),
  );

  describe.each(findFixtures(fixturesFolder))('$name', (fixture) => {
    skipBecause(obstacle(fixture));
    test(fixture.about, () => {
      const { differences } = compareFixture(fixture, { expected: docker!, actual: cairn });
      expect(describeDifferences(differences)).toBe('');
    });
  });
});
