import { spawn } from 'node:child_process';
import { chownSync, closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type BaseImage, baseImages, baseTar } from '../compare/base-images.ts';
import { fakeTimeLibrary, type MountedEnvironment } from './mounted-environment.ts';

/** A store of an environment, and how to call cairn on it. */
export interface Builder {
  readonly environment: MountedEnvironment;
  /** Words before `cairn`'s own. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly root: string;
}

export interface BuilderOptions {
  /** Folder that holds MAJOR/node_modules/node/bin/node for other versions of Node. */
  readonly nodes: string;
  /** Program of cairn. */
  readonly program: string;
  /** Builds without RUN, which any user may do. */
  readonly unprivileged: boolean;
}

/** Prepares a store in the environment, with the base images in it. */
export async function openBuilder(
  environment: MountedEnvironment,
  options: BuilderOptions,
): Promise<Builder> {
  const uid = options.unprivileged ? (environment.uid ?? 0) : 0;
  const root = join(environment.home, uid === 0 ? 'store' : `store-${uid}`);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  if (uid !== 0) chownSync(root, uid, uid);
  const builder = {
    environment,
    root,
    command: [
      'unshare',
      '--uts',
      'sh',
      '-c',
      'hostname "$0"; umask "$1"; shift; exec "$@"',
      environment.hostname,
      environment.umask,
      ...(environment.cpus === undefined ? [] : ['taskset', '-c', environment.cpus]),
      ...(uid === 0 ? [] : ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups']),
      'env',
      ...laterEnv(environment),
      nodeOf(environment, options.nodes),
      resolve(options.program),
    ],
    env: {
      PATH: `${environment.bin}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
      HOME: '/root',
      ...environment.env,
      CAIRN_ROOT: root,
    },
  };
  for (const base of baseImages) await importBase(builder, base);
  return builder;
}

function laterEnv({ daysAhead }: MountedEnvironment): readonly string[] {
  if (daysAhead === undefined) return [];
  return [
    `LD_PRELOAD=${fakeTimeLibrary()}`,
    `FAKETIME=+${daysAhead}d`,
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
    'NO_FAKE_STAT=1',
  ];
}

function nodeOf({ node }: MountedEnvironment, nodes: string): string {
  if (node === undefined) return process.execPath;
  const path = join(nodes, node, 'node_modules/node/bin/node');
  if (!existsSync(path))
    throw new Error(`Node ${node} is missing: npm install --prefix ${join(nodes, node)} node@${node}`);
  return path;
}

async function importBase(builder: Builder, base: BaseImage): Promise<void> {
  const input = openSync(baseTar(base), 'r');
  try {
    const words = ['import', '--change', base.change, '--message', base.file, '-', base.reference];
    const { status, stderr } = await cairn(builder, words, input);
    if (status !== 0) throw new Error(`${builder.environment.name}: ${stderr}`);
  } finally {
    closeSync(input);
  }
}

export interface Called {
  readonly status: number | null;
  readonly stdout: string;
  /** Its last part. */
  readonly stderr: string;
}

/** Calls cairn in the environment. */
export function cairn(builder: Builder, words: readonly string[], input?: number): Promise<Called> {
  const [program, ...args] = [...builder.command, ...words];
  return new Promise((done, fail) => {
    const child = spawn(program!, args, {
      env: builder.env,
      cwd: builder.environment.home,
      stdio: [input ?? 'ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    child.stdout!.on('data', (chunk) => {
      said.stdout += chunk;
    });
    child.stderr!.on('data', (chunk) => {
      said.stderr = (said.stderr + chunk).slice(-4000);
    });
    child.once('error', fail);
    child.once('close', (status) => done({ status, ...said }));
  });
}
