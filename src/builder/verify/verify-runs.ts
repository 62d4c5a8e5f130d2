import { CairnError, type ErrorNote, type Span } from '../../errors/index.ts';
import type { DiffId } from '../../oci/index.ts';
import type { RunStep } from '../record/build-trail.ts';
import type { BuildSession } from '../session.ts';
import { causes, type Detail } from './cause.ts';
import { Laboratory } from './laboratory.ts';
import { type Finding, verifyStep } from './verify-step.ts';

/** A RUN that was executed again. */
export interface VerifiedStep {
  /** As in the Dockerfile. */
  readonly name: string;
  readonly at: Span;
  readonly layer: DiffId;
  /** None when the layer is the same. */
  readonly findings: readonly Finding[];
  /** Why it could not be executed again and compared; absent when it was. */
  readonly skipped?: string;
}

/** zip and the like count in steps of two seconds. */
const clockStepMs = 2100;

/**
 * Executes every RUN of a build again, one after the other, in a varied environment.
 * A step whose layers are not in the store any more is skipped.
 * @param onStep - called when a step is through.
 * @throws what the sandbox throws
 */
export async function verifyRuns(
  session: BuildSession,
  onStep: (step: VerifiedStep) => void = () => undefined,
): Promise<readonly VerifiedStep[]> {
  const runs = session.trail.runs();
  if (runs.length > 0) await new Promise((resolve) => setTimeout(resolve, clockStepMs));
  const steps: VerifiedStep[] = [];
  for (const step of runs) {
    session.signal.throwIfAborted();
    const { run, layer } = step;
    const verified = { name: shownName(step), at: run.span, layer, ...(await verify(session, step)) };
    onStep(verified);
    steps.push(verified);
  }
  return steps;
}

async function verify(
  session: BuildSession,
  step: RunStep,
): Promise<Pick<VerifiedStep, 'findings' | 'skipped'>> {
  const { store } = session;
  const missing = [...step.parent, step.layer].find((layer) => !store.lease(layer));
  if (missing !== undefined) return { findings: [], skipped: `the layer ${missing} is not in the store` };
  const laboratory = new Laboratory(session, step);
  try {
    const recorded = { toc: store.layers.toc(step.layer), tar: store.blobs.path(step.layer) };
    return { findings: await verifyStep(step, recorded, laboratory) };
  } finally {
    laboratory.close();
  }
}

function shownName({ run }: RunStep): string {
  return run.source.replace(/^\S+/, (keyword) => keyword.toUpperCase());
}

/** So many differences of one step are told. */
const shownFindings = 20;

/** The error for steps that are not reproducible; null when all are. */
export function verifyError(steps: readonly VerifiedStep[]): CairnError | null {
  const bad = steps.filter(({ findings }) => findings.length > 0);
  const [first] = bad;
  if (first === undefined) return null;
  const count = bad.length === 1 ? '1 step' : `${bad.length} steps`;
  return new CairnError('NOT_REPRODUCIBLE', {
    message: `${count} of ${steps.length} gave another layer when executed again`,
    at: first.at,
    notes: bad.flatMap((step, i) => notesOf(step, i > 0)),
    help: 'the notes name each file, the cause and the line that would fix it; docs/verify.md explains the causes',
  });
}

function notesOf({ name, at, findings }: VerifiedStep, isPlaced: boolean): readonly ErrorNote[] {
  const notes = findings
    .slice(0, shownFindings)
    .map((finding): ErrorNote => ({ message: findingText(finding) }));
  const more = findings.length - notes.length;
  return [
    ...(isPlaced ? [{ message: name, at }] : []),
    ...notes,
    ...(more > 0 ? [{ message: `and ${more} more` }] : []),
  ];
}

/** A finding in a few lines: path, what differs, cause, fix. */
export function findingText({ path, details, cause, fix }: Finding): string {
  return `${differenceText({ path, details })}\n  cause: ${causes[cause]}\n  fix: ${fix}`;
}

/** A path and what differs about it. */
export function differenceText({ path, details }: Pick<Finding, 'path' | 'details'>): string {
  const shown = details.filter(({ what }) => what !== 'size' || details.length === 1).map(detailText);
  return `${path === '' ? '' : `/${path}: `}${shown.join('; ')}`;
}

function detailText({ what, before, after }: Detail): string {
  if (before === undefined && after === undefined) return what;
  if (before === undefined || after === undefined) return `${what}: ${before ?? after}`;
  return `${what}: "${before}" became "${after}"`;
}
