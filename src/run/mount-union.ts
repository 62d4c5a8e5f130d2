import { mountOverlay } from '../sys/index.ts';

export interface UnionOptions {
  /** Base layer first; at least one. */
  readonly lowerDirs: readonly string[];
  readonly upperDir: string;
  readonly workDir: string;
  readonly privileged: boolean;
  /** This process runs in a user namespace other than the machine's first. */
  readonly userNamespace: boolean;
}

/** Whether overlay takes `volatile` (Linux 5.10), unknown before the first mount. */
let hasVolatile: boolean | undefined;

/** Mounts an overlay whose upper directory scanning understands, or that is thrown away. */
export function mountUnion(target: string, options: UnionOptions): void {
  if (hasVolatile !== false) {
    try {
      attempt(target, options, true);
      hasVolatile = true;
      return;
    } catch (error) {
      if (hasVolatile === true || (error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    }
  }
  attempt(target, options, false);
  hasVolatile = false;
}

function attempt(target: string, options: UnionOptions, isVolatile: boolean): void {
  const { lowerDirs, upperDir, workDir, privileged, userNamespace } = options;
  mountOverlay(target, {
    lowerDirs,
    upper: { upperDir, workDir },
    options: {
      // A renamed directory and a changed mode must be plain files in the upper directory.
      // (`off`, which does the same where layers have no redirects, does not go with `userxattr`.)
      redirect_dir: 'nofollow',
      metacopy: 'off',
      index: 'off',
      ...(userNamespace ? { userxattr: null } : {}),
      // The upper directory is packed into a layer, which is synced, or thrown away: syncing it is wasted time.
      ...(isVolatile ? { volatile: null } : {}),
    },
    // Nodes that a command creates enter the layer, but must not open the host's disks.
    flags: privileged ? [] : ['no-dev'],
  });
}
