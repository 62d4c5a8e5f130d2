// Bundles src/ into dist/: one small entry chunk for the command line, one for the library, and every
// lazily imported part as a chunk of its own, so that `--help` and a cached build load little.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
rmSync('dist', { recursive: true, force: true });

const workersDir = 'src/sys/workers';
const workers = existsSync(workersDir) ? readdirSync(workersDir).filter((name) => name.endsWith('.ts')) : [];

await build({
  entryPoints: {
    cli: 'src/cli/main.ts',
    index: 'src/index.ts',
    ...Object.fromEntries(workers.map((name) => [`worker-${name.slice(0, -3)}`, join(workersDir, name)])),
  },
  outdir: 'dist',
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

const types = spawnSync('node_modules/.bin/tsc', ['-p', 'tsconfig.types.json'], { stdio: 'inherit' });
process.exit(types.status ?? 1);
