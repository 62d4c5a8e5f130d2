import { CairnError } from '../errors/index.ts';
import { familiarName, withDefaultTag } from '../oci/index.ts';
import { type Dockerfile, failOnFindings, parseDockerfile } from '../parser/index.ts';
import { type BuildAccess, openBuildAccess } from './build-access.ts';
import { checkPlan } from './check.ts';
import { type BuildContext, openContext } from './context/open-context.ts';
import type { BuildEvent, BuildOptions, BuildResult } from './contracts.ts';
import { readDockerfile } from './dockerfile-source.ts';
import { checkEntitlements } from './entitlements.ts';
import { findImage } from './find-image.ts';
import { openImageLayout } from './image-layout.ts';
import { type BuildPlan, planBuild } from './plan.ts';
import { openSession } from './session.ts';
import { numberSteps, Solver } from './solve.ts';
import { type StageState, toImageConfig } from './stage-state.ts';

/**
 * Builds an image from a Dockerfile: parse, plan, solve, write config and manifest, tag. The result depends on the
 * Dockerfile, the context's contents, the arguments and the bases only.
 * @returns the image's ID; it is in the store, tagged, when this resolves.
 * @throws {CairnError} with the place in the Dockerfile; ABORTED when `signal` fires.
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const abort = new AbortController();
  const forward = () => abort.abort(options.signal?.reason);
  if (options.signal?.aborted) forward();
  options.signal?.addEventListener('abort', forward, { once: true });
  try {
    return await buildUntil(abort.signal, options);
  } catch (error) {
    // Whatever else still runs for this build has no use any more.
    abort.abort(error);
    if (options.signal?.aborted)
      throw new CairnError('ABORTED', { message: 'the build was cancelled', cause: error });
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', forward);
  }
}

async function buildUntil(signal: AbortSignal, options: BuildOptions): Promise<BuildResult> {
  const access = openBuildAccess(options, signal);
  try {
    const context = await openContext(options.context, { ...options, ...access });
    try {
      return await buildFrom({ context, access, signal, options });
    } finally {
      context.close();
    }
  } finally {
    access.close();
  }
}

interface BuildInputs {
  readonly context: BuildContext;
  readonly access: BuildAccess;
  readonly signal: AbortSignal;
  readonly options: BuildOptions;
}

async function buildFrom({ context, access, signal, options }: BuildInputs): Promise<BuildResult> {
  const source = await readDockerfile(options.dockerfile, context);
  const dockerfile = parseDockerfile(source.text, { file: source.name });
  const plan = await plannedBuild(dockerfile, options);
  checkEntitlements(plan, options);
  const steps = numberSteps(plan);
  let cachedSteps = 0;
  const emit = (event: BuildEvent) => {
    if (event.type === 'step-end' && event.cached) cachedSteps++;
    options.onEvent?.(event);
  };
  const session = openSession({
    options,
    context,
    access,
    source,
    plan,
    escape: dockerfile.directives.escape,
    signal,
    emit,
    stage: (index) => solver.stage(index),
  });
  const solver: Solver = new Solver(session, plan, steps);
  emit({ type: 'plan', steps: steps.map(({ step }) => step) });
  try {
    const checks = checkPlan(dockerfile, plan, {
      buildArgs: options.buildArgs ?? {},
      ignore: session.ignore,
    });
    for (const diagnostic of checks.diagnostics) emit({ type: 'warning', diagnostic });
    failOnFindings(checks);
    const { imageId, manifestDigest } = exportImage(await solver.solve(), session.epoch, options, emit);
    return { imageId, manifestDigest, warnings: checks.diagnostics, cachedSteps, totalSteps: steps.length };
  } finally {
    await solver.settled();
    session.close();
  }
}

function plannedBuild(dockerfile: Dockerfile, options: BuildOptions): Promise<BuildPlan> {
  return planBuild(dockerfile, {
    buildArgs: options.buildArgs ?? {},
    ...(options.target === undefined ? {} : { target: options.target }),
    ...(options.platform ? { platform: options.platform } : {}),
    findImage: (name, platform, at) => findImage(options.store, name, platform, at),
    ...(options.namedContexts ? { namedContexts: options.namedContexts } : {}),
    openLayout: (source, platform) => openImageLayout(options.store, source, platform),
  });
}

/** Writes config and manifest and points the tags at them. */
function exportImage(
  state: StageState,
  epoch: number,
  options: BuildOptions,
  emit: (event: BuildEvent) => void,
) {
  const { images } = options.store;
  const image = images.put(toImageConfig(state, { epoch, labels: options.labels ?? {} }));
  const tags = (options.tags ?? []).map(withDefaultTag);
  if (tags.length > 0) images.tag(image.manifestDigest, tags);
  else images.keepUntagged(image.manifestDigest);
  emit({ type: 'export', imageId: image.id, tags: tags.map(familiarName) });
  return { imageId: image.id, manifestDigest: image.manifestDigest };
}
