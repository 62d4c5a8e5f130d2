import type { Digest } from '../../oci/index.ts';
import type { StepCache, StepRecord } from '../../store/contracts.ts';
import type { AccountLists, StepAccount } from './account.ts';
import { type Difference, differencesOf, type ReadList } from './differences.ts';
import { decodeInputs, type InputFile } from './input-list.ts';
import { type EarlierRecord, earlierRecords, type StepSite } from './nearest-record.ts';

/** A step whose result was not found. */
export interface MissedStep {
  readonly key: Digest;
  readonly site: StepSite;
  readonly account: StepAccount;
  readonly lists: AccountLists;
  /** The parent is not known (a dry run below a miss): what the step builds on is not compared. */
  readonly ignoresBase?: boolean;
}

/** Why a step was not found. */
export interface Miss {
  /** One line. */
  readonly text: string;
  /** What it was compared with; null when there is nothing. */
  readonly earlier: StepRecord | null;
}

const neverBuilt = 'no result of it is known yet';

/**
 * Says in one line why a step was not found in the cache: the first thing in which it differs from the nearest earlier record
 * of the same instruction. Nearest is the one with the fewest differences (file by file), the latest of equals.
 * @returns null when nothing differs (with `ignoresBase`)
 */
export function explainMiss(steps: StepCache, missed: MissedStep): Miss | null {
  const { account, site, lists } = missed;
  const earlier = earlierRecords(steps, site, account);
  if (earlier.length === 0) return { text: neverBuilt, earlier: null };
  const sameKey = earlier.find(({ record }) => record.key === missed.key);
  if (sameKey && !missed.ignoresBase)
    return { text: 'its layer is no longer in the store', earlier: sameKey.record };
  const readBefore = listReader(steps);
  const readAfter: ReadList = (name) => lists.get(name)?.() ?? readBefore(name);
  const compare = ({ account: before }: EarlierRecord): readonly Difference[] =>
    differencesOf({
      before: missed.ignoresBase ? { ...before, base: account.base } : before,
      after: account,
      readBefore,
      readAfter,
    });
  const nearest = earlier
    .map((each) => ({ each, differences: compare(each) }))
    .reduce((best, candidate) => (isNearer(candidate, best) ? candidate : best));
  const [first] = nearest.differences;
  if (first !== undefined) return { text: oneLine(first.text), earlier: nearest.each.record };
  if (missed.ignoresBase) return null;
  return { text: 'its key is of another version', earlier: nearest.each.record };
}

/** Names of files may hold anything. */
function oneLine(text: string): string {
  return text.replaceAll('\n', '\\n').replaceAll('\r', '\\r');
}

interface Candidate {
  readonly each: EarlierRecord;
  readonly differences: readonly Difference[];
}

function isNearer(a: Candidate, b: Candidate): boolean {
  const [near, far] = [distance(a), distance(b)];
  return near < far || (near === far && a.each.record.createdAt > b.each.record.createdAt);
}

function distance({ differences }: Candidate): number {
  return differences.reduce((sum, { count }) => sum + count, 0);
}

/** Reads lists of the store, each once. */
function listReader(steps: StepCache): ReadList {
  const known = new Map<Digest, readonly InputFile[] | null>();
  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const bytes = steps.inputs(name);
    const files = bytes === null ? null : decodeInputs(bytes);
    known.set(name, files);
    return files;
  };
}
