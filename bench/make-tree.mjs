import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes `count` files of 1 to 16 KiB, the same ones each time, 50 to a folder. */
export function makeTree(folder, count) {
  for (let i = 0; i < count; i++) {
    const parent = join(folder, `package-${Math.floor(i / 2500)}`, `part-${Math.floor(i / 50)}`);
    if (i % 50 === 0) mkdirSync(parent, { recursive: true });
    writeFileSync(
      join(parent, `file-${i}.js`),
      `export const n${i} = ${i};\n`.repeat(40 + ((i * 7919) % 600)),
    );
  }
}
