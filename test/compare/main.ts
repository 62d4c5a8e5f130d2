import { mkdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { compareFixture } from './compare-fixture.ts';
import { cairnEngine, dockerEngine, type Engine } from './engine.ts';
import { type Fixture, findFixtures, obstacle, temporaryFolder } from './fixture.ts';
import { describeDifferences } from './report.ts';
import { ruleNamed, rules } from './rules.ts';

const usage = `usage: npm run compare -- DIR... [options]

Builds each DIR with Cairn and with Docker's BuildKit and compares the two images: every path (type, mode, owner, size,
content, link, hard links, device, extended attributes), the configuration and the history. DIR holds a Dockerfile, or
folders that do (fixtures/builds). Exit code 0: all equal; 1: some differ or do not build; 2: usage.

  -f, --file FILE        Dockerfile, relative to DIR
  --build-arg K=V, --target STAGE, --label K=V, --secret …, --build-context …   as for build, given to both
  --docker CMD           docker command (else $CAIRN_DOCKER, scripts/peers-up.sh's, docker)
  --cairn CMD            cairn command (else bin/cairn.js)
  --root DIR             Cairn's store (else a temporary one)
  --rule NAME            leave out a documented difference (repeatable); NAME is one of:
${rules.map((rule) => `                           ${rule.name}: ${rule.why}`).join('\n')}
  --keep DIR             keep both archives there
  --only-docker          compare Docker with Docker: shows which fixtures are valid, and steady, there
`;

/** The command line of the comparison. @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const passed = ['build-arg', 'target', 'label', 'secret', 'build-context', 'file'] as const;
  const parsed = parse(argv, passed);
  if (typeof parsed === 'string') {
    process.stderr.write(`${parsed}\n${usage}`);
    return 2;
  }
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (positionals.length === 0) {
    process.stderr.write(usage);
    return 2;
  }
  const docker = dockerEngine(values.docker);
  if (!docker) {
    process.stderr.write(
      'no docker daemon answers: start one with scripts/peers-up.sh, or name a command with --docker\n',
    );
    return 1;
  }
  const root = values.root === undefined ? temporaryFolder('cairn-store-') : resolve(values.root);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  try {
    const actual: Engine = values['only-docker']
      ? { ...docker, name: 'docker-again' }
      : cairnEngine(root, values.cairn?.split(' '));
    const args = passed.flatMap((name) => (values[name] ?? []).flatMap((value) => [`--${name}`, value]));
    const options = {
      expected: docker,
      actual,
      args,
      rules: (values.rule ?? []).map(ruleNamed),
      ...(values.keep === undefined ? {} : { keep: resolve(values.keep) }),
    };
    const rows = positionals.flatMap(findFixtures).map((fixture) => {
      const row = { name: fixture.name, ...outcome(fixture, () => compareFixture(fixture, options)) };
      process.stdout.write(`${row.verdict.padEnd(8)} ${row.name.padEnd(36)} ${row.note}\n`);
      if (row.detail !== '') process.stdout.write(`${row.detail}\n`);
      return row;
    });
    const count = (verdict: string) => rows.filter((row) => row.verdict === verdict).length;
    process.stdout.write(
      `\n${count('same')} same, ${count('DIFFERS')} differ, ${count('FAILED')} failed, ${count('skipped')} skipped\n`,
    );
    return count('DIFFERS') + count('FAILED') > 0 ? 1 : 0;
  } finally {
    if (values.root === undefined) rmSync(root, { recursive: true, force: true });
  }
}

function parse(argv: readonly string[], passed: readonly string[]) {
  try {
    const repeated = Object.fromEntries(
      passed.map((name) => [name, { type: 'string', multiple: true }] as const),
    );
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        ...(repeated as Record<
          'build-arg' | 'target' | 'label' | 'secret' | 'build-context',
          { type: 'string'; multiple: true }
        >),
        file: { type: 'string', multiple: true, short: 'f' },
        rule: { type: 'string', multiple: true },
        docker: { type: 'string' },
        cairn: { type: 'string' },
        root: { type: 'string' },
        keep: { type: 'string' },
        'only-docker': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

interface Outcome {
  readonly verdict: 'same' | 'DIFFERS' | 'FAILED' | 'skipped';
  readonly note: string;
  readonly detail: string;
}

function outcome(fixture: Fixture, compare: () => ReturnType<typeof compareFixture>): Outcome {
  const reason = obstacle(fixture);
  if (reason !== undefined) return { verdict: 'skipped', note: reason, detail: '' };
  try {
    const { differences, covered } = compare();
    const note = [...covered].map(([rule, times]) => `${times} by rule ${rule}`).join(', ');
    if (differences.length === 0) return { verdict: 'same', note, detail: '' };
    return {
      verdict: 'DIFFERS',
      note: `${differences.length} differences`,
      detail: describeDifferences(differences),
    };
  } catch (error) {
    return { verdict: 'FAILED', note: '', detail: error instanceof Error ? error.message : String(error) };
  }
}
