import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type Builder, cairn, openBuilder } from './build-in.ts';
import { environments } from './environment.ts';
import { type MountedEnvironment, mountEnvironment, placeContext } from './mounted-environment.ts';
import { differingFiles, isBroken, isSame, type Outcome } from './outcome.ts';
import { describeOutcomes } from './report.ts';
import { type ReproCase, reproCases } from './repro-case.ts';

const usage = `usage: npm run repro -- [options]

Builds the Dockerfiles of fixtures/repro, and those of fixtures/builds that run nothing, in several environments, and says how many
images are equal to the bit. Needs root, loop devices, crun, runc, mkfs.xfs, mkfs.btrfs, libfaketime, other versions of Node,
30 GB of disk and, for the environment in memory, 10 GB of that. Half an hour for each environment of the whole. Exit code 0: the promised rates are met; 1: not; 2: usage.

  --only NAME            this Dockerfile only (repeatable)
  --environment NAME     these environments only (repeatable): ${environments.map(({ name }) => name).join(', ')}
  --clock real|frozen    as for build (frozen: also SOURCE_DATE_EPOCH=EPOCH, since apt refuses a clock of 1980)
  --no-normalize         as for build
  --epoch SECONDS        SOURCE_DATE_EPOCH of all builds
  --nodes DIR            where other versions of Node are: DIR/22/node_modules/node/bin/node (default: /var/tmp/repro-nodes)
  --cairn PROGRAM        bin/cairn.js of another checkout
  --work DIR             for file systems and stores (default: a temporary folder)
  --parallel N           environments at a time (default: 1)
  --report FILE          write the table there too
`;

/** Rates that Cairn promises, in per cent. */
const promised = { withoutRun: 100, real: 90, frozen: 95 } as const;

/** The command line of the matrix. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const options = parse(argv);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n${usage}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  const work =
    options.work === undefined ? mkdtempSync(join(tmpdir(), 'cairn-repro-')) : resolve(options.work);
  mkdirSync(work, { recursive: true });
  // One environment builds as a user who is not root.
  chmodSync(work, 0o755);
  const mounted: MountedEnvironment[] = [];
  const cleanUp = (): void => {
    for (const environment of mounted.splice(0)) environment.close();
    if (options.work === undefined) rmSync(work, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      cleanUp();
      process.exit(1);
    });
  try {
    const wanted = environments.filter(
      ({ name }) => options.environment.length === 0 || options.environment.includes(name),
    );
    for (const environment of wanted) mounted.push(mountEnvironment(environment, work));
    const outcomes = await runMatrix(mounted, options);
    const text = describeOutcomes(outcomes, {
      environments: wanted.map(({ name }) => name),
      clock: options.clock,
    });
    process.stdout.write(`\n${text}\n`);
    if (options.report !== undefined) writeFileSync(options.report, text);
    return isKept(outcomes, options.clock) ? 0 : 1;
  } finally {
    cleanUp();
  }
}

interface MatrixOptions {
  readonly only: readonly string[];
  readonly environment: readonly string[];
  readonly clock: 'real' | 'frozen';
  readonly normalize: boolean;
  readonly epoch?: string;
  readonly nodes: string;
  readonly cairn: string;
  readonly work?: string;
  readonly report?: string;
  readonly parallel: number;
  readonly help: boolean;
}

function parse(argv: readonly string[]): MatrixOptions | string {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string', multiple: true },
        environment: { type: 'string', multiple: true },
        clock: { type: 'string' },
        'no-normalize': { type: 'boolean' },
        epoch: { type: 'string' },
        nodes: { type: 'string' },
        cairn: { type: 'string' },
        work: { type: 'string' },
        parallel: { type: 'string' },
        report: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    const { clock = 'real' } = values;
    if (clock !== 'real' && clock !== 'frozen') return `--clock ${clock}: must be real or frozen`;
    return {
      only: values.only ?? [],
      environment: values.environment ?? [],
      clock,
      normalize: values['no-normalize'] !== true,
      nodes: values.nodes ?? '/var/tmp/repro-nodes',
      cairn: values.cairn ?? resolve(import.meta.dirname, '../../bin/cairn.js'),
      parallel: Number(values.parallel ?? 1),
      help: values.help ?? false,
      ...(values.epoch === undefined ? {} : { epoch: values.epoch }),
      ...(values.work === undefined ? {} : { work: values.work }),
      ...(values.report === undefined ? {} : { report: values.report }),
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

type Results = Map<string, { readonly id: string } | { readonly error: string }>;

/** Environment after environment, each from the first case to the last: what a RUN installed is cached for the next case. */
async function runMatrix(
  mounted: readonly MountedEnvironment[],
  options: MatrixOptions,
): Promise<readonly Outcome[]> {
  const cases = reproCases(options.only);
  const results = new Map<ReproCase, Results>(cases.map((each) => [each, new Map()]));
  const builders = new Map<string, readonly [privileged: Builder, other: Builder]>();
  await inParallel(options.parallel, mounted, async (environment) => {
    const at = { nodes: options.nodes, program: options.cairn };
    const privileged = await openBuilder(environment, { ...at, unprivileged: false });
    const other =
      environment.uid === undefined
        ? privileged
        : await openBuilder(environment, { ...at, unprivileged: true });
    builders.set(environment.name, [privileged, other]);
    for (const each of cases) {
      let result = await buildCase(each.hasRun ? privileged : other, each, options);
      // Files that only root can read are no matter of reproducibility.
      if ('error' in result && result.error.includes('CONTEXT_UNREADABLE'))
        result = await buildCase(privileged, each, options);
      results.get(each)!.set(environment.name, result);
      const note = 'id' in result ? result.id.slice(0, 19) : `FAILED ${result.error}`;
      process.stderr.write(`${environment.name.padEnd(18)} ${each.name.padEnd(32)} ${note}\n`);
    }
  });
  const outcomes: Outcome[] = [];
  for (const each of cases) {
    const outcome = { case: each, results: results.get(each)!, files: [] as readonly string[] };
    const isDifferent = !isBroken(outcome) && !isSame(outcome);
    outcomes.push(isDifferent ? { ...outcome, files: await filesOf(outcome, builders) } : outcome);
  }
  return outcomes;
}

/** Works on the items in order, so many at a time. */
async function inParallel<T>(
  count: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  const worker = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: count }, worker));
}

async function buildCase(
  builder: Builder,
  each: ReproCase,
  options: MatrixOptions,
): Promise<{ readonly id: string } | { readonly error: string }> {
  const staged = each.stage();
  rmSync(join(builder.environment.home, 'contexts', each.name), { recursive: true, force: true });
  const context = placeContext(staged, builder.environment, each.name);
  rmSync(staged, { recursive: true, force: true });
  const words = [
    'build',
    '-q',
    ...(each.hasRun ? ['--sandbox', builder.environment.sandbox, '--clock', options.clock] : []),
    ...(options.normalize ? [] : ['--no-normalize']),
    ...(options.epoch === undefined ? [] : ['--build-arg', `SOURCE_DATE_EPOCH=${options.epoch}`]),
    ...each.args,
    '-t',
    tagOf(each),
    context,
  ];
  const { status, stdout, stderr } = await cairn(builder, words);
  if (status === 0) return { id: stdout.trim() };
  const line =
    stderr.split('\n').find((text) => text.startsWith('error')) ?? stderr.trim().split('\n').at(-1);
  return { error: (line ?? '').slice(0, 160) };
}

function tagOf(each: ReproCase): string {
  return `repro/${each.name}:latest`;
}

/** Compares the first environment's image with the first that differs from it. */
async function filesOf(
  { case: each, results }: Outcome,
  builders: ReadonlyMap<string, readonly [Builder, Builder]>,
): Promise<readonly string[]> {
  const [first, ...others] = [...results].map(([name, result]) => ({
    name,
    id: 'id' in result ? result.id : '',
  }));
  const other = others.find(({ id }) => id !== first!.id)!;
  const at = each.hasRun ? 0 : 1;
  const files = await differingFiles(
    builders.get(first!.name)![at]!,
    builders.get(other.name)![at]!,
    tagOf(each),
  );
  const names = others.filter(({ id }) => id !== first!.id).map(({ name }) => name);
  return [...files, `in ${names.join(', ')}`];
}

function isKept(outcomes: readonly Outcome[], clock: 'real' | 'frozen'): boolean {
  const rate = (hasRun: boolean): number => {
    const group = outcomes.filter(({ case: each }) => each.hasRun === hasRun && !each.isControl);
    return group.length === 0 ? 100 : (100 * group.filter(isSame).length) / group.length;
  };
  return rate(false) >= promised.withoutRun && rate(true) >= promised[clock];
}
