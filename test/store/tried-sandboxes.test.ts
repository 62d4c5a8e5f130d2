import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openStore } from '../../src/store/index.ts';
import { scratchFolder } from '../support/scratch.ts';

const name = '0123456789abcdef0123456789abcdef';

describe('sandboxes that were tried out', () => {
  test('are known to the next process until they are forgotten', () => {
    const root = scratchFolder();
    openStore({ root }).triedSandboxes.add(name);
    const next = openStore({ root }).triedSandboxes;
    expect(next.has(name)).toBe(true);
    expect(next.has(name.replace('0', '1'))).toBe(false);
    next.remove(name);
    expect(openStore({ root }).triedSandboxes.has(name)).toBe(false);
    expect(() => next.remove(name)).not.toThrow();
  });

  test('are not remembered where nothing can be written', () => {
    const root = scratchFolder();
    const { blobs, triedSandboxes } = openStore({ root });
    blobs.put('');
    writeFileSync(join(root, 'cache/sandboxes'), 'in the way');
    triedSandboxes.add(name);
    expect(triedSandboxes.has(name)).toBe(false);
  });
});
