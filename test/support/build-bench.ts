import { createReadStream, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type BuildOptions, build } from '../../src/builder/index.ts';
import { CairnError } from '../../src/errors/index.ts';
import { hostPlatform, parseReference } from '../../src/oci/index.ts';
import { importImage, type LocalStore, openStore } from '../../src/store/index.ts';
import { baseImages, baseTar } from '../compare/base-images.ts';
import { temporaryFolder } from '../compare/fixture.ts';

/** What a build did. */
export interface Built {
  /** Everything that RUN steps printed, in order. */
  readonly output: string;
  /** Instructions, as shown, of the steps that were executed rather than found. */
  readonly executed: readonly string[];
  /** Layers of the image, base first. */
  readonly layers: readonly string[];
}

/** A store with busybox in it and a context, to build in this process. Call `remove` at the end. */
export class BuildBench {
  readonly folder = temporaryFolder('cairn-bench-');
  readonly root = join(this.folder, 'store');
  readonly context = join(this.folder, 'context');

  constructor() {
    mkdirSync(this.context);
  }

  async withBusybox(): Promise<this> {
    const busybox = baseImages.find((base) => base.file === 'busybox.tar');
    if (busybox === undefined) throw new Error('there is no busybox');
    const store = openStore({ root: this.root });
    try {
      await importImage(store, createReadStream(baseTar(busybox)), {
        reference: parseReference('busybox'),
        config: {},
        message: '',
        platform: hostPlatform(),
        created: '1980-01-01T00:00:01Z',
      });
    } finally {
      store.close();
    }
    return this;
  }

  /** Puts a file into the context. */
  file(path: string, content: string): string {
    const at = join(this.context, path);
    mkdirSync(dirname(at), { recursive: true });
    writeFileSync(at, content);
    return at;
  }

  /** Runs `work` with the store open. */
  async withStore<T>(work: (store: LocalStore) => T | Promise<T>): Promise<T> {
    const store = openStore({ root: this.root, now: () => Date.now() });
    try {
      return await work(store);
    } finally {
      store.close();
    }
  }

  /** Builds a Dockerfile of these lines. */
  build(lines: readonly string[], options: Partial<BuildOptions> = {}): Promise<Built> {
    return this.withStore(async (store) => {
      const output: Uint8Array[] = [];
      const names = new Map<number, string>();
      const executed: string[] = [];
      const { imageId } = await build({
        store,
        context: { kind: 'dir', path: this.context },
        dockerfile: { kind: 'text', name: 'Dockerfile', text: `${lines.join('\n')}\n` },
        hostEnv: { PATH: process.env.PATH },
        now: () => Date.now(),
        ...options,
        onEvent: (event) => {
          if (event.type === 'plan') for (const step of event.steps) names.set(step.id, step.name);
          if (event.type === 'step-output') output.push(event.chunk);
          if (event.type === 'step-end' && !event.cached) executed.push(names.get(event.id) ?? '');
          options.onEvent?.(event);
        },
      });
      const layers = store.images.get(imageId).config.rootfs.diff_ids;
      return { output: Buffer.concat(output).toString(), executed, layers };
    });
  }

  /** `CODE at LINE: message` of a build that fails. */
  async failure(lines: readonly string[], options: Partial<BuildOptions> = {}): Promise<string> {
    try {
      await this.build(lines, options);
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      return `${error.code} at ${error.at?.line}: ${error.message}`;
    }
    return 'it did not fail';
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
