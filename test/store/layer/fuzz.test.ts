import { expect, test } from 'vitest';
import { fuzzTarReader } from '../../fuzz/tar-reader.ts';

test('damaged tars are read right or refused, whatever the damage', () => {
  expect(fuzzTarReader(400, 700_000).accepted).toBeGreaterThan(40);
});
