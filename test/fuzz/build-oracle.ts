// Compares cached builds with builds that use no cache, over generated Dockerfiles and contexts that change step by step. Run it with
//   node --import tsx test/fuzz/build-oracle.ts [BUILDS] [SEED] [BASE]
// BASE (busybox) makes some stages run commands; that needs root.
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildEvent, build, forecastBuild } from '../../src/builder/index.ts';
import { CairnError } from '../../src/errors/index.ts';
import { hostPlatform, parseReference } from '../../src/oci/index.ts';
import { importImage, openStore } from '../../src/store/index.ts';
import { baseImages, baseTar } from '../compare/base-images.ts';
import {
  type BuildModel,
  dockerfileOf,
  type ModelOptions,
  optionsOf,
  randomModel,
  writeContext,
} from './build-model.ts';
import { mutate } from './mutate-build.ts';
import { Random } from './random.ts';

/** What was built. */
export interface OracleReport {
  readonly builds: number;
  /** Builds that failed in the same way with and without cache. */
  readonly failed: number;
  readonly steps: number;
  readonly cachedSteps: number;
}

/** Mutations of one Dockerfile and context, before the next is made. */
const perSequence = 25;

/**
 * Makes `builds` cached builds. Each must give the image of a `--no-cache` build of the same inputs in another store, which knows nothing
 * of the context's files either, or fail with the same code; and what a dry run says must be what the build then does.
 * @throws {Error} with seed, Dockerfile and context of the first that does not
 */
export async function runBuildOracle(
  builds: number,
  seed: number,
  options: ModelOptions = {},
): Promise<OracleReport> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cairn-oracle-'));
  const oracle = new Oracle(folder);
  try {
    if (options.base) await oracle.importBase(options.base);
    for (let done = 0, sequence = 0; done < builds; sequence++) {
      const random = new Random(seed + sequence);
      const context = join(folder, `context-${sequence}`);
      mkdirSync(context);
      const history: BuildModel[] = [];
      let written: BuildModel | null = null;
      for (let i = 0; i < perSequence && done < builds; i++, done++) {
        const last = history.at(-1);
        const model: BuildModel =
          last === undefined
            ? randomModel(random, options)
            : random.chance(10)
              ? random.pick(history)
              : mutate(last, random, options);
        writeContext(context, written, model);
        written = model;
        history.push(model);
        try {
          await oracle.compare(model, context);
        } catch (error) {
          const inputs = JSON.stringify({ ...model, stages: undefined });
          throw new Error(`seed ${seed + sequence}, build ${i}:\n${dockerfileOf(model)}${inputs}`, {
            cause: error,
          });
        }
      }
      rmSync(context, { recursive: true, force: true });
    }
    return oracle.report;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Oracle {
  readonly #cached: string;
  readonly #fresh: string;
  report: OracleReport = { builds: 0, failed: 0, steps: 0, cachedSteps: 0 };

  constructor(folder: string) {
    this.#cached = join(folder, 'cached');
    this.#fresh = join(folder, 'fresh');
  }

  async importBase(name: string): Promise<void> {
    const base = baseImages.find(({ reference }) => reference === `${name}:latest`);
    if (base === undefined) throw new Error(`there is no base ${name}`);
    for (const root of [this.#cached, this.#fresh]) {
      const store = openStore({ root });
      await importImage(store, createReadStream(baseTar(base)), {
        reference: parseReference(name),
        config: {},
        message: '',
        platform: hostPlatform(),
        created: '1980-01-01T00:00:01Z',
      });
      store.close();
    }
  }

  async compare(model: BuildModel, context: string): Promise<void> {
    // What the other store knows must not help it.
    const stat = join(this.#fresh, 'cache/stat');
    if (existsSync(stat)) for (const name of readdirSync(stat)) rmSync(join(stat, name));
    const forecast = await this.#forecast(model, context);
    const cached = await this.#build(this.#cached, model, context, false);
    const fresh = await this.#build(this.#fresh, model, context, true);
    if (cached.result !== fresh.result)
      throw new Error(`with the cache ${cached.result}, without it ${fresh.result}`);
    if (forecast !== null && !cached.isFailure) checkForecast(forecast, cached.outcomes);
    const { builds, failed, steps, cachedSteps } = this.report;
    this.report = {
      builds: builds + 1,
      failed: failed + (cached.isFailure ? 1 : 0),
      steps: steps + cached.outcomes.size,
      cachedSteps: cachedSteps + [...cached.outcomes.values()].filter(Boolean).length,
    };
  }

  async #forecast(model: BuildModel, context: string): Promise<ReadonlyMap<number, string> | null> {
    const store = openStore({ root: this.#cached });
    try {
      const steps = await forecastBuild({ ...optionsOf(model, context), store });
      return new Map(steps.map(({ step, verdict }) => [step.id, verdict]));
    } catch (error) {
      if (error instanceof CairnError) return null;
      throw error;
    } finally {
      store.close();
    }
  }

  async #build(root: string, model: BuildModel, context: string, noCache: boolean) {
    const outcomes = new Map<number, boolean>();
    const onEvent = (event: BuildEvent): void => {
      if (event.type === 'step-end') outcomes.set(event.id, event.cached);
    };
    const store = openStore({ root });
    try {
      const { imageId } = await build({ ...optionsOf(model, context), store, noCache, onEvent });
      return { result: imageId as string, isFailure: false, outcomes };
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      return { result: `${error.code} at ${error.at?.line}`, isFailure: true, outcomes };
    } finally {
      store.close();
    }
  }
}

function checkForecast(forecast: ReadonlyMap<number, string>, outcomes: ReadonlyMap<number, boolean>): void {
  for (const [id, verdict] of forecast) {
    const isCached = outcomes.get(id);
    if (verdict === 'hit' && isCached !== true)
      throw new Error(`step ${id} was to be a hit, and was executed`);
    if (verdict === 'miss' && isCached !== false)
      throw new Error(`step ${id} was to be a miss, and was found`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [builds = '2000', seed = '1', base] = process.argv.slice(2);
  const report = await runBuildOracle(Number(builds), Number(seed), base ? { base } : {});
  process.stdout.write(
    `${report.builds} builds from seed ${seed}, ${report.failed} of them failures, ${report.cachedSteps} of ${report.steps} steps cached: the same with and without cache\n`,
  );
}
