import type { DiffId, Digest } from '../../oci/index.ts';
import { explainMiss } from '../explain.ts';
import type { BuildSession } from '../session.ts';
import type { StageState } from '../stage-state.ts';

/** What an instruction makes of a stage, and what is to be said about it. */
export interface StepResult {
  readonly state: StageState;
  /** Nothing was executed or packed. */
  readonly cached: boolean;
  /** Why it was not cached (one line), or where a cached result comes from. */
  readonly note?: string;
}

/** A step that makes a layer, as the cache sees it. */
export interface LayerStep {
  /** Where it stands: stage and instruction number. Misses are compared with earlier records of the same place. */
  readonly place: string;
  readonly key: Digest;
  /** The key's parts, named, for explanations. Never a secret. */
  readonly components: Readonly<Record<string, string>>;
  /** `--no-cache` or `--no-cache-filter` covers it. */
  readonly skipCache: boolean;
}

export interface LayerResult {
  readonly layer: DiffId;
  readonly outcome: Pick<StepResult, 'cached' | 'note'>;
}

/**
 * Gives the step's layer from the cache, or executes and remembers it.
 * @param execute - gives the layer; `reused` when it turned out to exist already under its content.
 */
export async function runLayerStep(
  session: BuildSession,
  step: LayerStep,
  execute: () => Promise<{ readonly layer: DiffId; readonly reused: boolean }>,
): Promise<LayerResult> {
  const { store, now } = session;
  const startedAt = now();
  session.signal.throwIfAborted();
  const known = step.skipCache ? null : store.steps.get(step.key);
  if (known !== null && store.lease(known.layer))
    return { layer: known.layer, outcome: { cached: true, note: `from ${known.createdAt}` } };
  const note = step.skipCache ? undefined : explainMiss(step, store.steps.recent(step.place, 1)[0]);
  const { layer, reused } = await execute();
  const endedAt = now();
  store.steps.put({
    key: step.key,
    layer,
    components: step.components,
    place: step.place,
    createdAt: new Date(endedAt).toISOString(),
    durationMs: Math.round(endedAt - startedAt),
  });
  return { layer, outcome: { cached: reused && !step.skipCache, ...(note ? { note } : {}) } };
}
