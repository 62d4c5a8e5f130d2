import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import {
  openSandbox,
  type Sandbox,
  type SandboxKind,
  type SandboxRun,
  type SandboxSpec,
} from '../../src/run/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { firstOf, unlessRoot } from '../support/skip-because.ts';
import { hasBusybox, makeBusyboxRoot } from './busybox-root.ts';

/** Why the tests of sandboxes cannot run here, if they cannot. */
export const whyNot = firstOf(unlessRoot(), hasBusybox ? undefined : 'needs busybox-static');

export const hostEnv = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/** The sandboxes that this machine has; the built-in one always. */
export const kinds: readonly SandboxKind[] = whyNot === undefined ? await available() : ['builtin'];

async function available(): Promise<SandboxKind[]> {
  const found: SandboxKind[] = [];
  for (const kind of ['crun', 'runc', 'builtin'] as const) {
    try {
      found.push((await openSandbox({ kind, env: hostEnv })).kind);
    } catch {
      // Not installed here.
    }
  }
  return found;
}

export interface Outcome extends SandboxRun {
  readonly stdout: string;
  readonly stderr: string;
}

export type SpecChanges = Partial<Omit<SandboxSpec, 'argv'>>;

/** One machine: a folder with a busybox root, in which commands are run. */
export class Bench {
  readonly folder = scratchFolder();
  readonly lower = makeBusyboxRoot(join(this.folder, 'lower'));

  /** A spec for a command with everything by default; scratch is fresh. */
  spec(argv: readonly string[], changes: SpecChanges = {}): SandboxSpec {
    return {
      lowerDirs: [this.lower],
      scratch: mkdtempSync(join(this.folder, 'scratch-')),
      argv,
      env: ['PATH=/bin', 'HOME=/root'],
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [0] },
      hostname: 'buildkitsandbox',
      network: 'host',
      mounts: [],
      stdio: { kind: 'pipe', onOutput: () => undefined },
      ...changes,
    };
  }

  /** Runs a command, by default in a shell of the image, and collects its output. */
  async run(
    kind: SandboxKind,
    command: string | readonly string[],
    changes: SpecChanges = {},
  ): Promise<Outcome> {
    const sandbox = await this.open(kind);
    const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const argv = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
    const stdio = {
      kind: 'pipe',
      onOutput: (stream: 'stdout' | 'stderr', chunk: Uint8Array) => chunks[stream].push(chunk),
    } as const;
    const result = await sandbox.run(this.spec(argv, { stdio, ...changes })).done;
    return {
      ...result,
      stdout: Buffer.concat(chunks.stdout).toString(),
      stderr: Buffer.concat(chunks.stderr).toString(),
    };
  }

  open(kind: SandboxKind): Promise<Sandbox> {
    return openSandbox({ kind, env: hostEnv });
  }

  /** A folder on the host with a file in it, to be mounted. */
  hostFolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }
}
