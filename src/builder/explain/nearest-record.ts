import type { StepCache, StepRecord } from '../../store/contracts.ts';
import { fromComponents, type StepAccount } from './account.ts';

/** Where an instruction stands among those of its stage. */
export interface StepSite {
  /** The Dockerfile and the stage. */
  readonly stagePlace: string;
  /** Among all instructions of the stage. */
  readonly index: number;
  /** Their texts, normalized. */
  readonly siblings: readonly string[];
}

/** A record that can be compared with. */
export interface EarlierRecord {
  readonly record: StepRecord;
  readonly account: StepAccount;
}

/** Lines may have been put in or taken out above: so far up and down it is looked. */
const reach = 16;
/** Records of one place that are compared: the last builds, and some variants of them. */
const perPlace = 8;
const nearbyPerPlace = 2;

/** Names one instruction of a stage for records. */
export function placeOf({ stagePlace, index }: StepSite): string {
  return `${stagePlace}.${index}`;
}

/**
 * Earlier records of what is the same instruction for a person, latest first: those of the same text nearby; else those of the same
 * place, unless their text now stands elsewhere in the stage (a line was put in before it); else the most similar text nearby.
 */
export function earlierRecords(
  steps: StepCache,
  site: StepSite,
  { kind, written }: Pick<StepAccount, 'kind' | 'written'>,
): readonly EarlierRecord[] {
  const exact = recordsAt(steps, site, site.index, perPlace);
  const same = exact.filter(({ account }) => account.written === written);
  const around = offsets(site).flatMap((offset) =>
    recordsAt(steps, site, site.index + offset, nearbyPerPlace),
  );
  const sameAround = around.filter(({ account }) => account.written === written && account.kind === kind);
  if (same.length > 0) {
    // An edited line that is as it was before: its place's own later records count as well.
    return [...exact.filter(({ account }) => isOwn(account, site, written)), ...sameAround];
  }
  if (sameAround.length > 0) return sameAround;
  // What stood here last stands elsewhere now: this line was put in before it.
  const [latest] = exact;
  const isPutIn = latest !== undefined && !isOwn(latest.account, site, written);
  const own = isPutIn ? [] : exact.filter(({ account }) => isOwn(account, site, written));
  const ofKind = own.filter(({ account }) => account.kind === kind);
  if (ofKind.length > 0) return ofKind;
  return own.length > 0 ? own : mostSimilar(around, site, { kind, written });
}

function recordsAt(steps: StepCache, site: StepSite, index: number, limit: number): readonly EarlierRecord[] {
  if (index < 0) return [];
  return steps.recent(placeOf({ ...site, index }), limit).flatMap((record) => {
    const account = fromComponents(record.components);
    return account === null ? [] : [{ record, account }];
  });
}

/** 1, -1, 2, -2, …: nearer places first. */
function offsets({ index }: StepSite): readonly number[] {
  return Array.from({ length: 2 * reach }, (_, i) => (i % 2 === 0 ? i / 2 + 1 : -(i + 1) / 2)).filter(
    (offset) => index + offset >= 0,
  );
}

/** Whether a record's text is no other instruction's of the stage today. */
function isOwn(account: StepAccount, { siblings, index }: StepSite, written: string): boolean {
  if (account.written === written) return true;
  return !siblings.some((text, i) => i !== index && text === account.written);
}

/** Below this, two lines have nothing to do with each other. */
const leastSimilarity = 0.5;

function mostSimilar(
  around: readonly EarlierRecord[],
  site: StepSite,
  { kind, written }: Pick<StepAccount, 'kind' | 'written'>,
): readonly EarlierRecord[] {
  const scored = around
    .filter(({ account }) => account.kind === kind && isOwn(account, site, written))
    .map((earlier) => ({ earlier, score: similarity(earlier.account.written, written) }))
    .filter(({ score }) => score >= leastSimilarity);
  const best = scored.reduce((most, { score }) => Math.max(most, score), 0);
  return scored.filter(({ score }) => score === best).map(({ earlier }) => earlier);
}

/** Of two instructions, the share of the words after the first that they have in common (Dice). */
export function similarity(a: string, b: string): number {
  const [left, right] = [a.split(/\s+/).slice(1), b.split(/\s+/).slice(1)];
  if (left.length + right.length === 0) return 1;
  const rest = new Map<string, number>();
  for (const word of left) rest.set(word, (rest.get(word) ?? 0) + 1);
  let common = 0;
  for (const word of right) {
    const count = rest.get(word) ?? 0;
    if (count === 0) continue;
    rest.set(word, count - 1);
    common++;
  }
  return (2 * common) / (left.length + right.length);
}
