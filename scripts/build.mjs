// Bundles src/ into dist/: one small entry chunk for the command line, one for the library, and every
// lazily imported part as a chunk of its own, so that `--help` and a cached build load little.
// Everything is made in a folder of its own first: a Cairn that is started meanwhile finds the old dist/ or the new one.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
const made = `dist-${process.pid}.tmp`;
const old = `dist-${process.pid}.old`;

const workersDir = 'src/sys/workers';
const workers = existsSync(workersDir) ? readdirSync(workersDir).filter((name) => name.endsWith('.ts')) : [];

await build({
  entryPoints: {
    cli: 'src/cli/main.ts',
    index: 'src/index.ts',
    ...Object.fromEntries(workers.map((name) => [`worker-${name.slice(0, -3)}`, join(workersDir, name)])),
  },
  outdir: made,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  chunkNames: 'chunk-[name]-[hash]',
  sourcemap: true,
  logLevel: 'warning',
});

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
