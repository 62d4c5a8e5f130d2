// Makes dist/: the bundles and the types of the library. All of it is made in a folder of its own first: a Cairn that is
// started meanwhile finds the old dist/ or the new one.
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.mjs';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
const made = `dist-${process.pid}.tmp`;
const old = `dist-${process.pid}.old`;

try {
  await bundle(join(process.cwd(), made));
} catch {
  // esbuild has told what is wrong.
  rmSync(made, { recursive: true, force: true });
  process.exit(1);
}
const types = spawnSync(
  'node_modules/.bin/tsc',
  ['-p', 'tsconfig.types.json', '--outDir', join(made, 'types')],
  {
    stdio: 'inherit',
  },
);
if (existsSync('dist')) renameSync('dist', old);
renameSync(made, 'dist');
rmSync(old, { recursive: true, force: true });
process.exit(types.status ?? 1);
