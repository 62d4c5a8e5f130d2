import { CairnError, type ErrorCode } from '../errors/index.ts';

/** True when `error` is a system error with one of these codes; of any code when none is given. */
export function isSystemError(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || !('syscall' in error)) return false;
  return codes.length === 0 || codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

const explained: Readonly<Record<string, readonly [ErrorCode, string, string]>> = {
  ENOSPC: [
    'STORE_FULL',
    'no space is left',
    'free some with "cairn builder prune" and "cairn image prune", or choose another folder with --root',
  ],
  EDQUOT: [
    'STORE_FULL',
    'the disk quota is used up',
    'free some with "cairn builder prune" and "cairn image prune", or choose another folder with --root',
  ],
  EACCES: [
    'STORE_NOT_ACCESSIBLE',
    'permission was denied',
    'run as the owner of the store, or choose another folder with --root',
  ],
  EPERM: [
    'STORE_NOT_ACCESSIBLE',
    'the operation is not permitted',
    'run as the owner of the store, or choose another folder with --root',
  ],
  EROFS: ['STORE_NOT_ACCESSIBLE', 'the file system is read-only', 'choose another folder with --root'],
};

/**
 * Runs `work` on the store's files; what the user can do something about (a full disk, missing rights) becomes
 * a coded error, everything else passes as it is.
 * @throws {CairnError} STORE_FULL, STORE_NOT_ACCESSIBLE
 */
export function withStoreErrors<T>(root: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw explainStoreError(root, error);
  }
}

/** The coded form of a system error; any other value as it is. */
export function explainStoreError(root: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof CairnError) return error;
  const found = explained[(error as NodeJS.ErrnoException).code ?? ''];
  if (found === undefined) return error;
  const [code, why, help] = found;
  return new CairnError(code, { message: `cannot use the store ${root}: ${why}`, help, cause: error });
}
