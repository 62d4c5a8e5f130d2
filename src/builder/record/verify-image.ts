import { CairnError } from '../../errors/index.ts';
import type { DiffId } from '../../oci/index.ts';
import { solveBuild } from '../build.ts';
import { type VerifiedStep, verifyRuns } from '../verify/verify-runs.ts';
import { type BuildAgainOptions, buildAgain } from './build-again.ts';
import type { BuildRecord } from './build-record.ts';

/**
 * Executes each RUN of an image again, in a varied environment, on the layers that its build had, and compares. Other steps are not executed, so
 * that the context is needed only where a RUN mounts files of it. Nothing in the store changes.
 * @throws {CairnError} VERIFY_IMPOSSIBLE, RECORD_INVALID, and what a RUN throws
 */
export async function verifyImage(
  record: BuildRecord,
  again: BuildAgainOptions,
): Promise<readonly VerifiedStep[]> {
  const { options, hooks } = buildAgain(record, again);
  const layers = new Map<string, DiffId>(
    record.steps.map(({ stage, instruction, layer }) => [`${stage}.${instruction}`, layer]),
  );
  let verified: readonly VerifiedStep[] = [];
  await solveBuild(
    { ...options, onEvent: () => undefined },
    {
      ...hooks,
      knownLayer: ({ stage, instruction }) => layers.get(`${stage}.${instruction}`) ?? null,
      inspect: async (session) => {
        verified = await verifyRuns(session, again.onVerified);
      },
    },
    async () => undefined,
  );
  const isChecked = ({ skipped }: VerifiedStep): boolean => skipped === undefined;
  if (verified.length === 0 || verified.some(isChecked)) return verified;
  throw new CairnError('VERIFY_IMPOSSIBLE', {
    message:
      'no RUN of the image can be executed again and compared: layers of its stages are not in the store',
    notes: verified.map(({ name, at, skipped = '' }) => ({ message: `${name}: ${skipped}`, at })),
    help: 'build it again with --verify',
  });
}
