import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type BuildOptions, build, forecastBuild } from '../../src/builder/index.ts';
import { CairnError } from '../../src/errors/index.ts';
import type { Digest } from '../../src/oci/index.ts';
import { openStore, type StepCache } from '../../src/store/index.ts';
import { optionsOf, randomModel, writeContext } from '../fuzz/build-model.ts';
import { Random } from '../fuzz/random.ts';
import { scratchFolder } from '../support/scratch.ts';

/** Its methods, free to be replaced. */
function plain(steps: StepCache): StepCache {
  return {
    get: (key) => steps.get(key),
    put: (record, lists) => steps.put(record, lists),
    inputs: (name) => steps.inputs(name),
    recent: (place, limit) => steps.recent(place, limit),
  };
}

/** What a RUN depends on, as a person would list it. No two unequal ones give the same step. */
interface RunInputs {
  readonly command: string;
  readonly exec: boolean;
  readonly shell: string;
  readonly env: readonly (readonly [string, string])[];
  readonly user: string;
  readonly folder: string;
  readonly network: string;
  readonly hosts: readonly (readonly [string, string])[];
  readonly mount: string;
  readonly bound: string;
  readonly epoch: number;
  readonly platform: string;
}

function randomInputs(random: Random): RunInputs {
  const text = () => random.pick(['', 'a', 'b', 'a b', '1', 'a=1', 'a\\nb']);
  const mount = random.pick([
    '',
    'type=bind,target=/m,source=d',
    'type=tmpfs,target=/m',
    'type=bind,target=/n,source=d',
    'type=bind,target=/m,source=d,rw',
  ]);
  return {
    command: random.pick(['true', 'true ', 'echo a b', 'echo "a b"', 'a']).trim(),
    exec: random.chance(30),
    shell: random.pick(['', '["/bin/sh","-ec"]', '["/bin/sh -ec"]']),
    env: random.many(2, () => [random.pick(['A', 'B', 'AB']), text()] as const),
    user: random.pick(['', '1', '1:1']),
    folder: random.pick(['/', '/1', '/a']),
    network: random.pick(['default', 'none']),
    hosts: random.many(2, () => [random.pick(['h', 'h1']), random.pick(['1.1.1.1', '11.1.1.1'])] as const),
    mount,
    // Seen only through a bind.
    bound: mount.includes('bind') ? random.pick(['x', 'y', 'xx']) : '',
    epoch: random.pick([5, 6]),
    platform: random.pick(['amd64', 'arm64']),
  };
}

/** Later variables of a name win; a shell is nothing to an exec form. */
function meaning(inputs: RunInputs): string {
  const env = [...new Map(inputs.env)];
  return JSON.stringify({ ...inputs, env, shell: inputs.exec ? '' : inputs.shell });
}

function dockerfile({ command, exec, shell, env, user, network, mount, bound, folder }: RunInputs): string {
  return [
    'FROM scratch',
    ...env.map(([name, value]) => `ENV ${name}="${value}"`),
    ...(shell ? [`SHELL ${shell}`] : []),
    ...(user ? [`USER ${user}`] : []),
    ...(folder === '/' ? [] : [`ENV W=${folder}`]),
    `RUN --network=${network} ${mount ? `--mount=${mount.replace('source=d', `source=${bound}`)}` : ''} ${exec ? JSON.stringify([command]) : command}`,
    '',
  ].join('\n');
}

test('no two of 700 unequal inputs of RUN have one key: 244,650 pairs', async () => {
  const folder = scratchFolder();
  const context = join(folder, 'context');
  mkdirSync(context);
  const node = (content: string) => ({ kind: 'file', content, mode: 0o644 }) as const;
  const dirs = Object.fromEntries(
    ['x', 'y', 'xx'].flatMap((name) => [
      [name, { kind: 'dir', mode: 0o755 } as const],
      [`${name}/f`, node(name)],
    ]),
  );
  writeContext(context, null, {
    files: dirs,
    ignore: [],
    stages: [],
    buildArgs: {},
    contextModes: 'normal',
    timestamp: null,
  });
  const store = openStore({ root: join(folder, 'store') });
  const asked: Digest[] = [];
  const steps: StepCache = {
    ...plain(store.steps),
    get: (key) => {
      asked.push(key);
      return store.steps.get(key);
    },
  };
  const random = new Random(7);
  const keys = new Map<string, string>();
  while (keys.size < 700) {
    const inputs = randomInputs(random);
    const options: BuildOptions = {
      store: { ...store, steps },
      context: { kind: 'dir', path: context },
      dockerfile: { kind: 'text', name: 'Dockerfile', text: dockerfile(inputs) },
      extraHosts: inputs.hosts,
      platform: { os: 'linux', architecture: inputs.platform },
      timestamp: { kind: 'epoch', seconds: inputs.epoch },
    };
    asked.length = 0;
    await forecastBuild(options);
    const key = asked.at(-1) as string;
    expect(key, `the cache was not asked for ${meaning(inputs)}`).toBeDefined();
    const known = keys.get(meaning(inputs));
    if (known !== undefined) expect(key).toBe(known);
    keys.set(meaning(inputs), key);
  }
  const byKey = new Map<string, string>();
  for (const [inputs, key] of keys) {
    expect(byKey.get(key) ?? inputs, 'other inputs with the same key').toBe(inputs);
    byKey.set(key, inputs);
  }
  store.close();
});

test('steps of 150 generated builds with one key have one layer', async () => {
  const folder = scratchFolder();
  const layers = new Map<Digest, string>();
  const random = new Random(11);
  let [records, pairs] = [0, 0];
  const store = openStore({ root: join(folder, 'store') });
  const steps: StepCache = {
    ...plain(store.steps),
    put: (record, lists) => {
      pairs += records++;
      expect(layers.get(record.key) ?? record.layer).toBe(record.layer);
      layers.set(record.key, record.layer);
      store.steps.put(record, lists);
    },
  };
  for (let i = 0; i < 150; i++) {
    const model = randomModel(random);
    const context = join(folder, `context-${i}`);
    mkdirSync(context);
    writeContext(context, null, model);
    try {
      await build({ ...optionsOf(model, context), store: { ...store, steps }, noCache: true });
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
    }
  }
  expect(pairs).toBeGreaterThan(100_000);
  store.close();
});
