import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';
import type { BuildOptions } from '../contracts.ts';
import type { RecordedOptions } from './build-record.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const annotation = v.looseObject({ place: v.string(), key: v.string(), value: v.string() });

/** What each recorded option must look like: records may come from elsewhere. */
const schema = v.partial(
  v.strictObject({
    annotations: v.array(annotation),
    clock: v.picklist(['real', 'frozen']),
    contextModes: v.picklist(['normal', 'exact']),
    extraHosts: v.array(v.tuple([v.string(), v.string()])),
    limits: v.array(v.object({ name: v.string(), soft: v.unknown(), hard: v.unknown() })),
    network: v.picklist(['host', 'none']),
    normalize: v.boolean(),
    shmSizeBytes: count,
    squash: v.boolean(),
    timestamp: v.variant('kind', [
      v.object({ kind: v.literal('epoch'), seconds: count }),
      v.object({ kind: v.literal('preserve') }),
    ]),
    visibleCpus: count,
  }),
);

/**
 * Recorded options as a build takes them.
 * @throws {CairnError} RECORD_INVALID for one that this Cairn does not know: without it the result would be another one
 */
export function optionsOfRecord(options: RecordedOptions): Partial<BuildOptions> {
  const result = v.safeParse(schema, options);
  if (result.success) return result.output as unknown as Partial<BuildOptions>;
  const [issue] = result.issues;
  throw new CairnError('RECORD_INVALID', {
    message: `the build record has an option that is not understood: "${v.getDotPath(issue)}": ${issue.message}`,
    help: 'a newer Cairn may have made it: use that one',
  });
}
