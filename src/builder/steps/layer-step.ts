import type { DiffId, Digest } from '../../oci/index.ts';
import { explainMiss } from '../explain.ts';
import type { BuildSession } from '../session.ts';

/** A step that makes a layer, as the cache sees it. */
export interface LayerStep {
  /** Number of the step among those that the user sees. */
  readonly id: number;
  /** Where it stands: stage and instruction number. Misses are compared with earlier records of the same place. */
  readonly place: string;
  readonly key: Digest;
  /** The key's parts, named, for explanations. Never a secret. */
  readonly components: Readonly<Record<string, string>>;
  /** `--no-cache` or `--no-cache-filter` covers it. */
  readonly skipCache: boolean;
  /** It was announced before, by `prepareStep`. */
  readonly isAnnounced?: boolean;
}

export interface LayerResult {
  readonly layer: DiffId;
  /** Nothing was executed or packed. */
  readonly cached: boolean;
}

/** Announces a step whose key takes time to find out, and does that. Its failure is the step's. */
export async function prepareStep<T>(session: BuildSession, id: number, work: () => Promise<T>): Promise<T> {
  const { emit, now } = session;
  emit({ type: 'step-start', id, at: now() });
  try {
    return await work();
  } catch (error) {
    emit({ type: 'step-error', id, at: now(), error });
    throw error;
  }
}

/**
 * Gives the step's layer from the cache, or executes and remembers it. Emits the step's events.
 * @param execute - gives the layer; `reused` when it turned out to exist already under its content.
 */
export async function runLayerStep(
  session: BuildSession,
  step: LayerStep,
  execute: () => Promise<{ readonly layer: DiffId; readonly reused: boolean }>,
): Promise<LayerResult> {
  const { store, emit, now } = session;
  const startedAt = now();
  if (!step.isAnnounced) emit({ type: 'step-start', id: step.id, at: startedAt });
  try {
    session.signal.throwIfAborted();
    const known = step.skipCache ? null : store.steps.get(step.key);
    if (known !== null && store.lease(known.layer)) {
      emit({ type: 'step-end', id: step.id, at: now(), cached: true, note: `from ${known.createdAt}` });
      return { layer: known.layer, cached: true };
    }
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
    const cached = reused && !step.skipCache;
    emit({ type: 'step-end', id: step.id, at: endedAt, cached, ...(note ? { note } : {}) });
    return { layer, cached };
  } catch (error) {
    emit({ type: 'step-error', id: step.id, at: now(), error });
    throw error;
  }
}
