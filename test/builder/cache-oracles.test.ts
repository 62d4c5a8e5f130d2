import { expect, test } from 'vitest';
import { runBuildOracle } from '../fuzz/build-oracle.ts';
import { runExplainOracle } from '../fuzz/explain-oracle.ts';

// Short runs; `node --import tsx test/fuzz/build-oracle.ts` and `explain-oracle.ts` do thousands.

test('cached builds give the images of builds without cache, and dry runs come true', async () => {
  const { builds, cachedSteps } = await runBuildOracle(100, 20_000);
  expect(builds).toBe(100);
  expect(cachedSteps).toBeGreaterThan(100);
});

test('the named cause of a miss is what was changed', async () => {
  const { named } = await runExplainOracle(80, 30_000);
  expect(named).toBeGreaterThan(40);
});
