import { CairnError, hasCode } from '../../errors/index.ts';
import type { DiffId, Digest } from '../../oci/index.ts';
import type { StepRecord } from '../../store/contracts.ts';
import type { AccountLists, StepAccount } from '../explain/account.ts';
import { toComponents } from '../explain/account.ts';
import { explainMiss } from '../explain/explain-miss.ts';
import { encodeInputs } from '../explain/input-list.ts';
import { placeOf } from '../explain/nearest-record.ts';
import type { BuildSession } from '../session.ts';
import type { StageState } from '../stage-state.ts';
import type { StepPosition } from './position.ts';

/** What an instruction makes of a stage, and what is to be said about it. */
export interface StepResult {
  readonly state: StageState;
  /** Nothing was executed or packed. */
  readonly cached: boolean;
  /** Why it was not cached (one line), or where a cached result comes from. */
  readonly note?: string;
  /** In a forecast: the result would have to be made, or that cannot be told. */
  readonly isUnknown?: boolean;
}

/** A step that makes a layer, as the cache sees it. */
export interface LayerStep {
  readonly position: StepPosition;
  readonly key: Digest;
  /** The layers that it builds on. */
  readonly parent: readonly DiffId[];
  /** What the key is made of, for people. Asked for on a miss only. */
  readonly account: () => { readonly account: StepAccount; readonly lists: AccountLists };
  /** `execute` finds a layer by its content and packs one only when it may. */
  readonly isByContent: boolean;
}

/** What `execute` gives. */
export interface Executed {
  /** `unknownLayer` when it may not be made and is not known by its content. */
  readonly layer: DiffId;
  /** It turned out to exist already under its content. */
  readonly reused: boolean;
}

export interface LayerResult {
  readonly layer: DiffId;
  readonly outcome: Omit<StepResult, 'state'>;
}

/** Stands for a layer that a forecast cannot know. No digest is all zeros. */
export const unknownLayer = `sha256:${'0'.repeat(64)}` as DiffId;

export function isUnknown(layers: readonly DiffId[]): boolean {
  return layers.includes(unknownLayer);
}

/**
 * Gives the step's layer from the cache, or executes and remembers it. In a forecast nothing is executed or remembered.
 * @throws {CairnError} NOT_CACHED when only known results may be used
 */
export async function runLayerStep(
  session: BuildSession,
  step: LayerStep,
  execute: () => Promise<Executed>,
): Promise<LayerResult> {
  const { store, now, cacheMode } = session;
  const { position } = step;
  session.signal.throwIfAborted();
  const isAsked = !position.skipCache && !isUnknown(step.parent);
  const local = isAsked ? store.steps.get(step.key) : null;
  const known = local ?? (isAsked ? ((await session.options.remoteCache?.find(step.key)) ?? null) : null);
  if (known !== null && (store.lease(known.layer) || store.layers.isRemote(known.layer))) {
    if (cacheMode === 'use') {
      if (local !== null) keepComparable(session, step, known);
      noteDone(session, step, known);
    }
    return { layer: known.layer, outcome: { cached: true, note: originOf(known, position) } };
  }
  if (cacheMode !== 'use') return look(session, step, execute);
  const startedAt = now();
  const made = step.account();
  const reason = missReason(session, step, made);
  const { layer, reused } = await execute();
  const endedAt = now();
  const result = {
    layer,
    createdAt: new Date(endedAt).toISOString(),
    durationMs: Math.round(endedAt - startedAt),
    reason,
  };
  remember(session, step, made, result);
  session.options.remoteCache?.stepDone({ key: step.key, ...result });
  const cached = reused && !position.skipCache;
  return { layer, outcome: { cached, note: cached ? sameContent(reason) : reason } };
}

/** For the remote cache; a record that came from there goes into the store once its layer is here. */
function noteDone(session: BuildSession, step: LayerStep, known: StepRecord): void {
  const { layer, createdAt, durationMs, origin } = known;
  const keep = () => remember(session, step, step.account(), { layer, createdAt, durationMs });
  session.options.remoteCache?.stepDone(known, origin === undefined ? undefined : keep);
}

type Account = ReturnType<LayerStep['account']>;

function remember(
  { store }: BuildSession,
  { key, position }: LayerStep,
  { account, lists }: Account,
  made: Pick<StepRecord, 'layer' | 'createdAt' | 'durationMs' | 'reason'>,
): void {
  const inputs = [...lists.keys()];
  const record = {
    ...made,
    key,
    components: toComponents(account),
    place: placeOf(position.site),
    name: position.name,
    ...(inputs.length > 0 ? { inputs } : {}),
  };
  store.steps.put(record, new Map([...lists].map(([name, files]) => [name, () => encodeInputs(files())])));
}

/**
 * A line that was edited or moved without any effect is found all the same: its record is brought up to date, so that the edit is not
 * taken for the cause of a later miss. Nothing is written when the line is as it was.
 */
function keepComparable(session: BuildSession, step: LayerStep, known: StepRecord): void {
  const { site } = step.position;
  const place = placeOf(site);
  const isHere = known.place.slice(0, known.place.lastIndexOf('.')) === site.stagePlace;
  const [written] = (known.components.written ?? '').split('\n', 1);
  if (!isHere || (known.place === place && written === site.siblings[site.index])) return;
  const { layer, createdAt, durationMs, reason } = known;
  try {
    remember(session, step, step.account(), {
      layer,
      createdAt,
      durationMs,
      ...(reason === undefined ? {} : { reason }),
    });
  } catch (error) {
    // Someone who may only read the store, or a full one: the result is there nevertheless.
    if (!hasCode(error, 'STORE_NOT_ACCESSIBLE') && !hasCode(error, 'STORE_FULL')) throw error;
  }
}

/** Finds out whether the result is known, without making it. */
async function look(
  session: BuildSession,
  step: LayerStep,
  execute: () => Promise<Executed>,
): Promise<LayerResult> {
  const { position } = step;
  if (isUnknown(step.parent) && !position.skipCache) return unknownResult(ownReason(session, step));
  if (step.isByContent && !position.skipCache) {
    const { layer, reused } = await execute();
    if (reused)
      return {
        layer,
        outcome: { cached: true, note: sameContent(missReason(session, step, step.account())) },
      };
  }
  const reason = missReason(session, step, step.account());
  if (session.cacheMode === 'forecast')
    return { layer: unknownLayer, outcome: { cached: false, note: reason } };
  throw notCached(position.name, reason);
}

/** A result that depends on one that is not there. */
function unknownResult(own: string): LayerResult {
  const note = `it depends on a result above that is not known; ${own}`;
  return { layer: unknownLayer, outcome: { cached: false, isUnknown: true, note } };
}

/** @throws always: the error of a build that may use known results only */
export function notCached(name: string, reason: string): CairnError {
  return new CairnError('NOT_CACHED', {
    message: `the result of "${name}" is not in the cache: ${reason}`,
    help: 'build without --require-cached, or bring the inputs back to what was built before',
  });
}

function missReason(
  { store }: BuildSession,
  { position, key }: LayerStep,
  { account, lists }: Account,
): string {
  if (position.skipCache) return position.skipReason ?? 'the cache is not used';
  return explainMiss(store.steps, { key, site: position.site, account, lists })?.text ?? '';
}

/** What can be said about a step's own inputs when what it builds on is not known. */
function ownReason({ store }: BuildSession, { position, key, account }: LayerStep): string {
  const miss = explainMiss(store.steps, { key, site: position.site, ...account(), ignoresBase: true });
  return miss === null ? 'its own inputs are as before' : miss.text;
}

/** `from 2026-01-02T03:04:05.000Z`, and by which instruction when it was another one. */
function originOf(record: StepRecord, { site, name }: StepPosition): string {
  const time = `from ${record.createdAt}`;
  if (record.origin !== undefined) return `${time}, in the cache ${record.origin}`;
  if (record.place === placeOf(site) || record.name === undefined) return time;
  const file = record.place.slice(0, record.place.lastIndexOf('#'));
  const what = record.name === name ? '' : `, "${record.name}"`;
  return `${time}${what}${site.stagePlace.startsWith(`${file}#`) ? '' : ` in ${file}`}`;
}

function sameContent(reason: string): string {
  return `a known layer with the same content (${reason})`;
}
