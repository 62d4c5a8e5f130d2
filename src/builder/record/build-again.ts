import { CairnError } from '../../errors/index.ts';
import type { BuildHooks } from '../build.ts';
import { cacheFormat } from '../cache-key.ts';
import { namedContextOf } from '../context/context-of.ts';
import type { BuildOptions, ContextSource } from '../contracts.ts';
import type { VerifiedStep } from '../verify/verify-runs.ts';
import type { BuildRecord } from './build-record.ts';
import { optionsOfRecord } from './recorded-options.ts';

/** What a build from a record needs that the record does not have. */
export interface BuildAgainOptions
  extends Pick<
    BuildOptions,
    | 'store'
    | 'allow'
    | 'hostEnv'
    | 'jobs'
    | 'namedContexts'
    | 'now'
    | 'onEvent'
    | 'sandbox'
    | 'secrets'
    | 'signal'
    | 'ssh'
  > {
  readonly context: ContextSource;
  /** Called for each RUN that `verifyImage` is through with. */
  readonly onVerified?: (step: VerifiedStep) => void;
  /** Values of arguments that the record leaves out. */
  readonly buildArgs?: Readonly<Record<string, string>>;
}

/**
 * The options and hooks of a build that does what a record says, with the images that it names. What gives rights (`allow`, secrets) comes from the
 * caller only: a record may be a stranger's.
 * @throws {CairnError} VERIFY_IMPOSSIBLE, RECORD_INVALID
 */
export function buildAgain(
  record: BuildRecord,
  { onVerified: _, ...options }: BuildAgainOptions,
): { readonly options: BuildOptions; readonly hooks: Pick<BuildHooks, 'recordedImages'> } {
  checkFormat(record);
  const { dockerfile, labels, target, platform } = record;
  return {
    options: {
      ...options,
      ...optionsOfRecord(record.options),
      context: record.context.kind === 'empty' ? { kind: 'empty' } : options.context,
      dockerfile: { kind: 'text', ...dockerfile },
      buildArgs: { ...record.arguments, ...withheldArguments(record, options.buildArgs ?? {}) },
      labels,
      platform,
      namedContexts: namedContexts(record, options.namedContexts ?? {}),
      ...(target === undefined ? {} : { target }),
    },
    hooks: { recordedImages: record.images },
  };
}

function checkFormat({ format }: BuildRecord): void {
  if (format === cacheFormat) return;
  throw new CairnError('VERIFY_IMPOSSIBLE', {
    message: `the image was built by a Cairn whose layers have another format (${format}; here ${cacheFormat})`,
    help: 'use a Cairn of that time, or build the image again',
  });
}

function withheldArguments(
  { withheldArguments: names }: BuildRecord,
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const missing = names.filter((name) => given[name] === undefined);
  if (missing.length > 0)
    throw new CairnError('VERIFY_IMPOSSIBLE', {
      message: `the record does not hold the values of ${missing.join(', ')}: their names speak of secrets`,
      help: `give them again: ${missing.map((name) => `--build-arg ${name}=…`).join(' ')}`,
    });
  return Object.fromEntries(names.map((name) => [name, given[name] as string]));
}

/** Folders and layouts are the caller's to give; what has a name that everyone knows comes from the record. */
function namedContexts(
  record: BuildRecord,
  given: NonNullable<BuildOptions['namedContexts']>,
): NonNullable<BuildOptions['namedContexts']> {
  const result: Record<string, NonNullable<BuildOptions['namedContexts']>[string]> = {};
  for (const [name, text] of Object.entries(record.namedContexts)) {
    const own = given[name];
    if (own !== undefined) result[name] = own;
    else if (/^[a-z-]+:\/\//.test(text)) result[name] = namedContextOf(`${name}=${text}`).source;
    else
      throw new CairnError('VERIFY_IMPOSSIBLE', {
        message: `the build used the named context "${name}", which the record only names`,
        help: `give it again: --build-context ${name}=…`,
      });
  }
  return result;
}
