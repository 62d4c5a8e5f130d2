import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import type { DiffId } from '../oci/index.ts';
import type { SandboxMount } from '../run/contracts.ts';
import type { Tree } from '../store/contracts.ts';
import { toBytes } from '../sys/index.ts';
import type { BuildSession } from './session.ts';

/** The clock of one RUN: null for the machine's. */
export type StepClock = FrozenClock | null;

let found: FrozenClock | undefined;

/**
 * The clock that a build's RUN on these layers sees. Where programs of the image cannot load the library, it is the machine's.
 * @throws {CairnError} CLOCK_UNAVAILABLE
 */
export function stepClock(session: BuildSession, layers: readonly DiffId[]): StepClock {
  if (session.options.clock !== 'frozen') return null;
  found ??= findFrozenClock();
  return layers.length > 0 && obeysFrozenClock(session.store.layers.tree(layers)) ? found : null;
}

/** libfaketime, as a distribution installs it. */
export interface FrozenClock {
  /** Its file on the host. */
  readonly library: string;
  /** Names its bytes: another version may behave differently. */
  readonly digest: string;
}

/** Below /dev, which no layer holds and every command has. */
const target = '/dev/cairn-clock/libfaketime.so.1';

const libraryFolders = ['/usr/lib', '/usr/lib64', '/lib', '/lib64', '/usr/local/lib'];
/** For programs with threads: the other one is not safe with them. */
const libraryNames = ['libfaketimeMT.so.1', 'libfaketime.so.1'];

/**
 * Finds libfaketime on this machine: Debian and Ubuntu keep it in /usr/lib/ARCHITECTURE/faketime, others in /usr/lib64/faketime.
 * @throws {CairnError} CLOCK_UNAVAILABLE
 */
export function findFrozenClock(folders: readonly string[] = libraryFolders): FrozenClock {
  for (const folder of folders) {
    if (!existsSync(folder)) continue;
    const below = readdirSync(folder).filter((name) => name.includes('-linux-gnu'));
    for (const place of ['', ...below.sort()])
      for (const name of libraryNames) {
        const path = join(folder, place, 'faketime', name);
        if (existsSync(path)) return openClock(realpathSync(path));
      }
  }
  throw new CairnError('CLOCK_UNAVAILABLE', {
    message: '--clock frozen needs libfaketime, which is not installed here',
    help: 'install the package libfaketime (apt-get install libfaketime), or leave --clock out',
  });
}

function openClock(library: string): FrozenClock {
  return { library, digest: createHash('sha256').update(readFileSync(library)).digest('hex') };
}

/**
 * Whether programs of an image can load the library: those of the GNU C library. With musl's loader they would not start.
 */
export function obeysFrozenClock(tree: Tree): boolean {
  const names = ['lib', 'lib64', 'usr/lib', 'usr/lib64'].flatMap((folder) => {
    const real = tree.resolve(toBytes(folder), { followLast: true });
    return tree.list(real).map((name) => name as string);
  });
  const isMusl = names.some((name) => name.startsWith('ld-musl-'));
  return !isMusl && names.some((name) => /^ld-linux.*\.so\.\d$|^ld64\.so\.\d$|^ld\.so\.1$/.test(name));
}

/** What makes dynamically linked programs of a command see one constant time, the epoch. */
export function frozenClockSetup(
  clock: FrozenClock,
  { epoch, env }: { readonly epoch: number; readonly env: readonly string[] },
): { readonly mount: SandboxMount; readonly env: readonly string[] } {
  const preload = 'LD_PRELOAD=';
  const own = env.find((entry) => entry.startsWith(preload))?.slice(preload.length) ?? '';
  return {
    mount: { kind: 'bind', source: clock.library, target, readOnly: true },
    env: [
      ...env.filter((entry) => !entry.startsWith(preload)),
      `${preload}${own === '' ? target : `${target}:${own}`}`,
      // In seconds since 1970, so that the image's time zone does not matter.
      'FAKETIME_FMT=%s',
      `FAKETIME=${epoch}`,
      // Waiting and timeouts go on.
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      'DONT_FAKE_MONOTONIC=1',
    ],
  };
}
