import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BuildEvent, type BuildOptions, build, forecastBuild } from '../../src/builder/index.ts';
import { type LocalStore, openStore } from '../../src/store/index.ts';

/** What was said about a step. */
export interface SaidStep {
  readonly name: string;
  readonly cached: boolean;
  readonly note: string;
}

/** Builds of one context in one store, in this process, with what each says about its steps. */
export class ExplainedBuilds {
  readonly context: string;
  readonly root: string;
  /** Milliseconds; moves on with each build. */
  clock = Date.parse('2026-01-01T00:00:00Z');

  constructor(folder: string) {
    this.context = join(folder, 'context');
    this.root = join(folder, 'store');
    mkdirSync(this.context);
  }

  file(path: string, content: string): string {
    const at = join(this.context, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, content);
    return at;
  }

  /** The steps of a build, without bases. */
  async build(dockerfile: string, options: Partial<BuildOptions> = {}): Promise<readonly SaidStep[]> {
    return (await this.run(dockerfile, options)).steps;
  }

  async run(
    dockerfile: string,
    options: Partial<BuildOptions> = {},
  ): Promise<{ readonly steps: readonly SaidStep[]; readonly imageId: string }> {
    this.clock += 60_000;
    return this.withStore(async (store) => {
      const names = new Map<number, string>();
      const steps: SaidStep[] = [];
      const onEvent = (event: BuildEvent): void => {
        if (event.type === 'plan') for (const step of event.steps) names.set(step.id, step.name);
        if (event.type !== 'step-end') return;
        const { id, cached, note = '' } = event;
        steps.push({ name: names.get(id) ?? '', cached, note });
      };
      const { imageId } = await build({ ...this.options(store, dockerfile), onEvent, ...options });
      return { steps: steps.filter(({ name }) => !name.startsWith('FROM ')), imageId };
    });
  }

  /** `verdict name: reason` for each step but bases. */
  async forecast(dockerfile: string, options: Partial<BuildOptions> = {}): Promise<readonly string[]> {
    return this.withStore(async (store) => {
      const steps = await forecastBuild({ ...this.options(store, dockerfile), ...options });
      return steps
        .filter(({ step }) => !step.name.startsWith('FROM '))
        .map(({ step, verdict, reason }) => `${verdict} ${step.name}: ${reason}`);
    });
  }

  async withStore<T>(work: (store: LocalStore) => T | Promise<T>): Promise<T> {
    const store = openStore({ root: this.root, now: () => this.clock });
    try {
      return await work(store);
    } finally {
      store.close();
    }
  }

  private options(store: LocalStore, dockerfile: string): BuildOptions {
    return {
      store,
      context: { kind: 'dir', path: this.context },
      dockerfile: { kind: 'text', name: 'Dockerfile', text: dockerfile },
      hostEnv: { PATH: process.env.PATH },
      now: () => this.clock,
    };
  }
}
