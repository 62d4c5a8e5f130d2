import * as fs from 'node:fs';
import { expect, test } from 'vitest';
import { findingCodes } from '../../src/store/index.ts';
import { storePaths } from '../../src/store/store-paths.ts';

const page = fs.readFileSync(new URL('../../docs/store.md', import.meta.url), 'utf8');

test('docs/store.md names every finding of fsck and no other', () => {
  const named = new Set([...page.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map((match) => match[1]));
  expect([...named].filter((code) => code !== 'STORE_DAMAGED').sort()).toEqual(
    Object.keys(findingCodes).sort(),
  );
});

test('docs/store.md shows every part of the layout', () => {
  for (const path of Object.values(storePaths('/r')).filter((value) => value !== '/r'))
    expect(page).toContain(path.slice(3));
});
