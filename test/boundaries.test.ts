import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build, transformSync } from 'esbuild';
import { describe, expect, test } from 'vitest';

const src = resolve(import.meta.dirname, '../src');

/**
 * What a module may import from others (docs/architecture.md). `store contracts` is the one file src/store/contracts.ts.
 * The files directly in src/ are the library's face: they may use everything but the command line.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  cli: [
    'library',
    'builder',
    'run',
    'registry',
    'parser',
    'store',
    'sys',
    'oci',
    'errors',
    'store contracts',
    'run contracts',
  ],
  library: [
    'builder',
    'run',
    'registry',
    'parser',
    'store',
    'sys',
    'oci',
    'errors',
    'store contracts',
    'run contracts',
  ],
  builder: ['run', 'registry', 'parser', 'store', 'sys', 'oci', 'errors', 'store contracts', 'run contracts'],
  run: ['store contracts', 'sys', 'oci', 'errors'],
  registry: ['store contracts', 'oci', 'errors'],
  parser: ['errors'],
  store: ['sys', 'oci', 'errors'],
  sys: ['errors'],
  oci: ['errors'],
  errors: [],
};

interface Import {
  /** Relative to src/. */
  readonly from: string;
  readonly to: string;
  readonly fromModule: string;
  readonly toModule: string;
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .sort();
const imports = files.flatMap(importsOf);

describe('modules of src', () => {
  test('exist as folders that the table knows', () => {
    const folders = readdirSync(src, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map((entry) => entry.name).filter((name) => !(name in allowed))).toEqual([]);
  });

  test.each(Object.keys(allowed))('%s imports only the modules that it may', (module) => {
    const foreign = imports.filter((one) => one.fromModule === module && moduleOf(one.to) !== module);
    expect(foreign.filter((one) => !allowed[module]!.includes(one.toModule)).map(show)).toEqual([]);
  });

  test('import nothing of each other but index.ts and contracts.ts', () => {
    const foreign = imports.filter((one) => one.fromModule !== moduleOf(one.to));
    const hidden = foreign.filter(
      (one) => !/(^|\/)(index|contracts)\.ts$/.test(one.to) && one.fromModule !== 'library',
    );
    expect(hidden.map(show)).toEqual([]);
  });

  test('have no circle among the files of different modules', () => {
    const order = ['errors', 'oci', 'sys', 'store', 'parser', 'registry', 'run', 'builder', 'library', 'cli'];
    const upward = imports.filter((one) => {
      if (one.toModule.endsWith('contracts') || one.fromModule === moduleOf(one.to)) return false;
      return order.indexOf(one.fromModule) < order.indexOf(one.toModule);
    });
    expect(upward.map(show)).toEqual([]);
  });

  test('name their source files with the .ts suffix, so that they run unbundled', () => {
    expect(imports.filter((one) => !one.to.endsWith('.ts')).map(show)).toEqual([]);
  });
});

describe('process state', () => {
  const clockAndEnvironment = /\bprocess\s*\.\s*(env|argv)\b|\bDate\s*\.\s*now\s*\(|\bnew\s+Date\s*\(\s*\)/g;

  // It writes the source of a program of its own (a sandbox's first process), whose arguments these are.
  const programs = ['sys/init.ts'];

  test('is read by the command line only: environment, arguments and clock are passed down', () => {
    const found = files
      .filter((file) => moduleOf(file) !== 'cli' && !programs.includes(file))
      .flatMap((file) => {
        const uses = withoutComments(file).match(clockAndEnvironment) ?? [];
        return uses.map((use) => `${file}: ${use}`);
      });
    expect(found).toEqual([]);
  });

  test('is printed by the command line only', () => {
    const found = files
      .filter((file) => moduleOf(file) !== 'cli' && !file.includes('/workers/'))
      .filter((file) =>
        /\bconsole\s*\.\s*\w+\s*\(|\bprocess\s*\.\s*std(out|err)\s*\.\s*write\b/.test(withoutComments(file)),
      );
    expect(found).toEqual([]);
  });
});

describe('heavy packages', () => {
  const heavy = [
    'koffi',
    'undici',
    'listr2',
    'tar-stream',
    'fzstd',
    'fast-glob',
    'ssri',
    'lmdb',
    '@hazae41/foras',
    '@foxglove/wasm-zstd',
  ];

  test.each(['cli/main.ts', 'index.ts'])('are not loaded with %s, only on first use', async (entry) => {
    const { metafile } = await build({
      entryPoints: [join(src, entry)],
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      packages: 'external',
      outdir: 'out',
      write: false,
      metafile: true,
      logLevel: 'silent',
    });
    const loaded = new Set<string>();
    const visit = (chunk: string) => {
      for (const { path, kind, external } of metafile.outputs[chunk]?.imports ?? []) {
        if (kind !== 'import-statement' || loaded.has(path)) continue;
        loaded.add(path);
        if (!external) visit(path);
      }
    };
    visit(Object.keys(metafile.outputs).find((name) => metafile.outputs[name]?.entryPoint?.endsWith(entry))!);
    expect([...loaded].filter((name) => heavy.includes(name))).toEqual([]);
  });
});

/** Every import of another source file: static, type-only, re-export, dynamic, `import('…').Type`. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8');
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|^\s*import\s+)(["'])(\.[^"']+)\1/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const to = relative(src, resolve(dirname(join(src, file)), match[2]!));
    return { from: file, to, fromModule: moduleOf(file), toModule: faceOf(to) };
  });
}

function moduleOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : 'library';
}

function faceOf(file: string): string {
  if (file === 'store/contracts.ts') return 'store contracts';
  return file === 'run/contracts.ts' ? 'run contracts' : moduleOf(file);
}

function withoutComments(file: string): string {
  return transformSync(readFileSync(join(src, file), 'utf8'), { loader: 'ts', legalComments: 'none' }).code;
}

function show(one: Import): string {
  return `${one.from} imports ${one.to}`;
}
