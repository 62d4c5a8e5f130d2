// Bundles src/ for Node: the library in parts that are loaded when needed (ES modules, for importers), and the command line as
// one script whose parts are evaluated when needed, beside it V8's code cache of what most commands use. Starting
// that costs a fifth of loading modules one by one.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const scripts = dirname(fileURLToPath(import.meta.url));
const absWorkingDir = join(scripts, '..');

const common = { absWorkingDir, bundle: true, platform: 'node', target: 'node20.19', logLevel: 'warning' };

/** Packages that every build needs, and that are part of the script; others are loaded from where they lie. */
const included = ['valibot', 'moo', 'nearley'];
const { dependencies } = JSON.parse(readFileSync(join(absWorkingDir, 'package.json'), 'utf8'));
const external = Object.keys(dependencies).filter((name) => !included.includes(name));

// What Node puts around a CommonJS module: in the file, it need not be added to each time.
// `importModule` stands for `import()`, which a script out of a code cache cannot do (bin/load-script.js).
const wrapper = {
  head: '(function (exports, require, module, __filename, __dirname, importModule) {',
  tail: '})',
};

/** @param outdir - a folder, made when missing; nothing else should be in it. */
export async function bundle(outdir) {
  const workersDir = 'src/sys/workers';
  const workers = readdirSync(join(absWorkingDir, workersDir)).filter((name) => name.endsWith('.ts'));
  await build({
    ...common,
    entryPoints: {
      index: 'src/index.ts',
      ...Object.fromEntries(workers.map((name) => [`worker-${name.slice(0, -3)}`, join(workersDir, name)])),
    },
    outdir,
    splitting: true,
    format: 'esm',
    packages: 'external',
    chunkNames: 'chunk-[name]-[hash]',
    sourcemap: true,
  });
  const { outputFiles } = await build({
    ...common,
    entryPoints: ['src/cli/main.ts'],
    outfile: join(outdir, 'cli.cjs'),
    format: 'cjs',
    external,
    define: { 'import.meta.url': 'moduleUrl' },
    banner: { js: `${wrapper.head}const moduleUrl = require("node:url").pathToFileURL(__filename).href;` },
    footer: { js: wrapper.tail },
    write: false,
  });
  writeFileSync(join(outdir, 'cli.cjs'), toAscii(withoutImports(outputFiles[0].text)));
  cacheCode(join(outdir, 'cli.cjs'));
}

/** Every `import("package")` that esbuild has left goes through the function that the loader gives. */
function withoutImports(text) {
  return text.replace(/\bimport\("/g, 'importModule("');
}

/** One byte a character is read and kept at half the cost. esbuild leaves regular expressions as they are. */
function toAscii(text) {
  return text.replace(/[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Without a cache the command line starts all the same, only later: failing to make one is no failure. */
function cacheCode(script) {
  const folder = mkdtempSync(join(tmpdir(), 'cairn-warm-up-'));
  try {
    const env = { PATH: process.env.PATH, CAIRN_ROOT: join(folder, 'store') };
    const argv = [join(scripts, 'cache-code.cjs'), script, folder];
    const { status } = spawnSync(process.execPath, argv, { env, stdio: 'ignore', timeout: 60_000 });
    if (status !== 0) process.stderr.write('no code cache was made: commands will start more slowly\n');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
