// node bench/bench.mjs [--rounds N] [--files N] [--only NAME,...] [--out FILE]
// Times Cairn and whichever peers are installed on the same workloads, interleaved, and prints medians and ratios to the best peer.
// Each sample is a line of JSON in FILE.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeTree } from './make-tree.mjs';
import { report } from './report.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    files: { type: 'string', default: '30000' },
    only: { type: 'string' },
    out: { type: 'string', default: 'bench-results.jsonl' },
  },
});
const folder = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'cairn-bench-'));
const cairn = [process.execPath, fileURLToPath(new URL('../bin/cairn.js', import.meta.url))];

/** Words of a command line before the verb; commands are Docker's. */
const tools = {
  cairn: [...cairn, '--root', join(folder, 'cairn')],
  docker: ['docker'],
  podman: ['podman', '--root', join(folder, 'podman'), '--runroot', join(folder, 'podman-run')],
};

const contexts = { tree: join(folder, 'tree'), small: join(folder, 'small') };

/** `prepare` is not timed. */
const workloads = {
  noop: { args: build('copy', contexts.tree), prepare: () => {} },
  touchall: {
    args: build('copy', contexts.tree),
    prepare: (round) => writeFileSync(join(contexts.tree, 'touched.js'), `// ${round} ${Date.now()}\n`),
  },
  'cold-copy': { args: [...build('copy', contexts.tree), '--no-cache'], prepare: () => {} },
  'cold-run': { args: [...build('run', contexts.small), '--no-cache'], prepare: () => {} },
  run: { args: ['run', '--rm', '--network', 'none', 'bench-base', 'true'], prepare: () => {} },
};

function build(file, context) {
  return ['build', '-q', '-t', `bench-${file}`, '-f', join(folder, `${file}.Dockerfile`), context];
}

function call(words, args) {
  const [program, ...rest] = words;
  const start = process.hrtime.bigint();
  const { status, stderr } = spawnSync(program, [...rest, ...args], { encoding: 'utf8' });
  return { ms: Number(process.hrtime.bigint() - start) / 1e6, status, stderr };
}

/** A base with a shell: busybox, linked statically. */
function makeBase() {
  const root = join(folder, 'base');
  mkdirSync(join(root, 'bin'), { recursive: true });
  const script =
    'cp "$(command -v busybox)" "$0/bin/busybox" && for n in sh true echo; do ln -s busybox "$0/bin/$n"; done && tar -C "$0" -cf "$0.tar" .';
  const { status, stderr } = spawnSync('sh', ['-c', script, root], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`no base image: ${stderr}`);
  return `${root}.tar`;
}

try {
  makeTree(contexts.tree, Number(values.files));
  mkdirSync(contexts.small);
  writeFileSync(join(folder, 'copy.Dockerfile'), 'FROM bench-base\nWORKDIR /app\nCOPY . .\n');
  const steps = Array.from({ length: 10 }, (_, i) => `RUN echo x > /f${i}\n`).join('');
  writeFileSync(join(folder, 'run.Dockerfile'), `FROM bench-base\n${steps}`);
  const base = makeBase();
  const present = Object.entries(tools).filter(
    ([, words]) => call(words, ['import', base, 'bench-base']).status === 0,
  );
  const samples = [];
  for (const [name, { args, prepare }] of Object.entries(workloads)) {
    if (values.only && !values.only.split(',').includes(name)) continue;
    if (name !== 'run') for (const [, words] of present) call(words, args);
    for (let round = 1; round <= Number(values.rounds); round++)
      for (const [tool, words] of present) {
        prepare(round);
        const { ms, status, stderr } = call(words, args);
        if (status !== 0) process.stderr.write(`${name} ${tool}: ${stderr}\n`);
        const sample = { workload: name, tool, round, ms, status };
        samples.push(sample);
        appendFileSync(values.out, `${JSON.stringify(sample)}\n`);
      }
  }
  process.stdout.write(report(samples));
} finally {
  // podman leaves its store mounted on itself.
  spawnSync('umount', [join(folder, 'podman/overlay')]);
  rmSync(folder, { recursive: true, force: true });
}
