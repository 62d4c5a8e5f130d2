import { CairnError } from '../errors/index.ts';
import {
  canonicalName,
  type DiffId,
  familiarName,
  formatPlatform,
  hostPlatform,
  type ImageConfig,
  type Platform,
  samePlatform,
  withDefaultTag,
} from '../oci/index.ts';
import { type Diagnostic, type Dockerfile, failOnFindings, parseDockerfile } from '../parser/index.ts';
import type { Store } from '../store/contracts.ts';
import { type BuildAccess, openBuildAccess } from './build-access.ts';
import { checkPlan } from './check.ts';
import { type BuildContext, openContext } from './context/open-context.ts';
import {
  type BuildEvent,
  type BuildOptions,
  type BuildResult,
  type BuildStep,
  defaultEpoch,
  type StepForecast,
} from './contracts.ts';
import { type DockerfileText, parseOptions, readDockerfile } from './dockerfile-source.ts';
import { checkEntitlements } from './entitlements.ts';
import {
  type BuiltImages,
  type ExportedImage,
  type ExportOptions,
  exportTo,
  writeImage,
} from './export/export-image.ts';
import type { BuildOutput } from './export/output.ts';
import { squashImage } from './export/squash.ts';
import { type FindImage, imageFinder } from './image-finder.ts';
import { openImageLayout } from './image-layout.ts';
import { namespaceNeeded } from './namespace-needed.ts';
import { type BuildPlan, originOf, planBuild } from './plan.ts';
import type { BuildRecord, RecordedImage } from './record/build-record.ts';
import type { StepPlace } from './record/build-trail.ts';
import { collectRecord } from './record/collect-record.ts';
import { attachRecord } from './record/stored-record.ts';
import { type BuildSession, type CacheMode, openSession } from './session.ts';
import { numberSteps, Solver } from './solve.ts';
import { toImageConfig } from './stage-state.ts';
import { verifyError, verifyRuns } from './verify/verify-runs.ts';

/**
 * Builds an image from a Dockerfile: parse, plan, solve, write config and manifest, tag. The result depends on the
 * Dockerfile, the context's contents, the arguments and the bases only.
 * @returns the image's ID; it is in the store, tagged, when this resolves.
 * @throws {CairnError} with the place in the Dockerfile; ABORTED when `signal` fires.
 */
export function build(options: BuildOptions): Promise<BuildResult> {
  const cacheMode = options.requireCached ? 'require' : 'use';
  return untilAborted(options, (signal) => withAccess({ signal, options, cacheMode }, buildFrom));
}

/**
 * Says for each step of a build whether the cache has its result, and why not. Nothing is executed, packed, written or tagged.
 * @throws {CairnError} as `build` does for what it finds out without executing anything
 */
export async function forecastBuild(options: BuildOptions): Promise<readonly StepForecast[]> {
  const steps = new Map<number, BuildStep>();
  const forecasts = new Map<number, StepForecast>();
  const onEvent = (event: BuildEvent): void => {
    options.onEvent?.(event);
    if (event.type === 'plan') for (const step of event.steps) steps.set(step.id, step);
    if (event.type !== 'step-end') return;
    const step = steps.get(event.id);
    if (step) forecasts.set(event.id, { step, verdict: event.verdict ?? 'hit', reason: event.note ?? '' });
  };
  const inputs = { options: { ...options, onEvent, squash: false }, cacheMode: 'forecast' } as const;
  await untilAborted(options, (signal) => withAccess({ ...inputs, signal }, solveAll));
  return [...forecasts.values()].sort((a, b) => a.step.id - b.step.id);
}

/** For builds that check an image instead of making one. */
export interface BuildHooks {
  /** The only images that their names stand for. */
  readonly recordedImages?: readonly RecordedImage[];
  /** The layer that a step is known to give: it is not executed. */
  readonly knownLayer?: (place: StepPlace) => DiffId | null;
  /** Sees each platform when its steps are done and everything is still open. */
  readonly inspect?: (session: BuildSession) => Promise<void>;
}

/**
 * Does the steps of a build and hands the result over, which nothing has written or named.
 * @throws {CairnError} as `build` does
 */
export function solveBuild<T>(
  options: BuildOptions,
  hooks: BuildHooks,
  finish: (solved: SolvedBuild) => Promise<T>,
): Promise<T> {
  const work = async (inputs: BuildInputs) => finish(await solveAll(inputs));
  return untilAborted(options, (signal) => withAccess({ signal, options, cacheMode: 'use', hooks }, work));
}

async function untilAborted<T>(options: BuildOptions, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const forward = () => abort.abort(options.signal?.reason);
  if (options.signal?.aborted) forward();
  options.signal?.addEventListener('abort', forward, { once: true });
  try {
    return await work(abort.signal);
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

async function withAccess<T>(
  { signal, options, cacheMode, hooks }: Omit<BuildInputs, 'context' | 'access'>,
  work: (inputs: BuildInputs) => Promise<T>,
): Promise<T> {
  const access = openBuildAccess(options, signal);
  try {
    const context = await openContext(options.context, { ...options, ...access });
    try {
      return await work({ context, access, signal, options, cacheMode, ...(hooks && { hooks }) });
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
  readonly cacheMode: CacheMode;
  readonly hooks?: BuildHooks;
}

/** A build whose steps are done. */
export interface SolvedBuild {
  readonly images: BuiltImages['images'];
  /** What each image was made from, in the order of the images. */
  readonly records: readonly BuildRecord[];
  readonly epoch: number;
  readonly emit: (event: BuildEvent) => void;
  readonly result: () => Pick<BuildResult, 'warnings' | 'cachedSteps' | 'totalSteps'>;
}

async function buildFrom(inputs: BuildInputs): Promise<BuildResult> {
  const { images, records, epoch, emit, result } = await solveAll(inputs);
  const isIndex = images.length > 1 || isTrue(inputs.options.buildArgs?.BUILDKIT_MULTI_PLATFORM);
  const exported = await exportAll({ images, isIndex }, { records, epoch, emit, ...inputs });
  return { ...exported, ...result() };
}

/** Everything but writing the images. */
async function solveAll(inputs: BuildInputs): Promise<SolvedBuild> {
  const { context, options } = inputs;
  const source = await readDockerfile(options.dockerfile, context);
  const dockerfile = parseDockerfile(source.text, parseOptions(source, options));
  const variants = await planVariants(dockerfile, inputs);
  await requireNoRun(variants, { ...inputs, source, dockerfile });
  const cached = new Map<number, boolean>();
  const emit = (event: BuildEvent) => {
    if (event.type === 'step-end') cached.set(event.id, event.cached);
    options.onEvent?.(event);
  };
  const steps = variants.flatMap((variant) => variant.steps);
  emit({ type: 'plan', steps: steps.map(({ step }) => step) });
  const images: BuiltImages['images'][number][] = [];
  const records: BuildRecord[] = [];
  const warnings = new Warnings(emit);
  let epoch = defaultEpoch;
  for (const variant of variants) {
    const image = await solveSurely(variant, { ...inputs, source, dockerfile, warnings, emit });
    images.push({ platform: variant.platform, config: image.config });
    records.push(image.record);
    epoch = image.epoch;
  }
  const countCached = () => [...cached.values()].filter(Boolean).length;
  const result = () => ({ warnings: warnings.all, cachedSteps: countCached(), totalSteps: steps.length });
  return { images, records, epoch, emit, result };
}

/**
 * Where no RUN can be executed: makes sure that none needs to be, before any step is begun. A build whose commands are all in the cache
 * needs no rights.
 * @throws {CairnError} NAMESPACE_NEEDED
 */
async function requireNoRun(
  variants: readonly Variant[],
  inputs: Omit<VariantInputs, 'warnings' | 'emit'>,
): Promise<void> {
  const { options, cacheMode, hooks } = inputs;
  if (options.canMount !== false || cacheMode !== 'use') return;
  const runs = new Set(
    variants.flatMap(({ steps }) => steps.filter(({ isRun }) => isRun).map(({ step }) => step.id)),
  );
  if (runs.size === 0) return;
  // What is checked is executed again, whatever the cache has.
  if (hooks !== undefined || options.verify) throw namespaceNeeded();
  let isExecuted = false;
  const emit = (event: BuildEvent): void => {
    if (event.type === 'step-end' && runs.has(event.id) && event.verdict !== 'hit') isExecuted = true;
  };
  const forecast = {
    ...inputs,
    emit,
    options: { ...options, squash: false },
    cacheMode: 'forecast',
  } as const;
  try {
    for (const variant of variants)
      await solveVariant(variant, { ...forecast, warnings: new Warnings(() => undefined) });
  } catch (error) {
    // The build itself comes to the same error, with the steps before it.
    if (!(error instanceof CairnError)) throw error;
  }
  if (isExecuted) throw namespaceNeeded();
}

/** The build for one platform. */
interface Variant {
  readonly platform: Platform;
  readonly plan: BuildPlan;
  readonly steps: ReturnType<typeof numberSteps>;
}

async function planVariants(
  dockerfile: Dockerfile,
  { options, hooks, cacheMode }: Pick<BuildInputs, 'options' | 'hooks' | 'cacheMode'>,
): Promise<readonly Variant[]> {
  const images = imageFinder(options, hooks?.recordedImages);
  const wanted = options.platforms?.length ? options.platforms : [options.platform ?? hostPlatform()];
  const platforms = wanted.filter(
    (platform, i) => !wanted.slice(0, i).some((earlier) => samePlatform(earlier, platform)),
  );
  const variants: Variant[] = [];
  let first = 1;
  for (const platform of platforms) {
    const plan = await plannedBuild(dockerfile, { ...options, platform }, images.find);
    checkEntitlements(plan, options);
    const label = platforms.length > 1 ? { platform: formatPlatform(platform) } : {};
    const steps = numberSteps(plan, { first, ...label });
    first += steps.length;
    variants.push({ platform, plan, steps });
  }
  if (cacheMode !== 'forecast') images.done();
  return variants;
}

interface VariantInputs extends BuildInputs {
  readonly source: DockerfileText;
  readonly dockerfile: Dockerfile;
  readonly warnings: Warnings;
  readonly emit: (event: BuildEvent) => void;
}

/**
 * Solves a variant, again when a layer that a remote cache promised cannot be had: its records count as absent then, and what is in
 * the store already is found there. Each round knows of fewer such layers.
 */
async function solveSurely(variant: Variant, inputs: VariantInputs): ReturnType<typeof solveVariant> {
  for (;;) {
    try {
      return await solveVariant(variant, inputs);
    } catch (error) {
      if (!inputs.options.remoteCache?.isLoss(error)) throw error;
    }
  }
}

async function solveVariant(
  { platform, plan, steps }: Variant,
  { context, access, signal, options, cacheMode, hooks, source, dockerfile, warnings, emit }: VariantInputs,
): Promise<{ readonly config: ImageConfig; readonly epoch: number; readonly record: BuildRecord }> {
  const session = openSession({
    options: { ...options, platform },
    cacheMode,
    context,
    access,
    source,
    plan,
    escape: dockerfile.directives.escape,
    signal,
    emit,
    stage: (index) => solver.stage(index),
    ...(hooks?.knownLayer && { knownLayer: hooks.knownLayer }),
  });
  const solver: Solver = new Solver(session, plan, steps);
  try {
    const checks = checkPlan(dockerfile, plan, {
      buildArgs: options.buildArgs ?? {},
      ignore: session.ignore,
    });
    warnings.add(checks.diagnostics);
    failOnFindings(checks);
    const { epoch } = session;
    const config = toImageConfig(await solver.solve(), { epoch, labels: options.labels ?? {} });
    const { rootfs } = config;
    // An image in the store is complete; only layers of other stages stay where they are.
    if (cacheMode !== 'forecast') await options.store.layers.fetch(rootfs.diff_ids);
    options.remoteCache?.imageDone(rootfs.diff_ids);
    await hooks?.inspect?.(session);
    if (options.verify && cacheMode !== 'forecast') await refuseUnreproducible(session);
    const record = collectRecord({ session, plan, source, dockerfile });
    if (!options.squash) return { config, epoch, record };
    const origin = originOf(plan, plan.target);
    return { config: await squashImage(options.store, config, { origin, epoch }), epoch, record };
  } finally {
    await solver.settled();
    session.close();
  }
}

/** @throws {CairnError} NOT_REPRODUCIBLE */
async function refuseUnreproducible(session: BuildSession): Promise<void> {
  const error = verifyError(await verifyRuns(session));
  if (error !== null) throw error;
}

/** Findings of the checks: what several platforms have in common is told once. */
class Warnings {
  readonly #emit: (event: BuildEvent) => void;
  readonly #known = new Map<string, Diagnostic>();

  constructor(emit: (event: BuildEvent) => void) {
    this.#emit = emit;
  }

  get all(): readonly Diagnostic[] {
    return [...this.#known.values()];
  }

  add(diagnostics: readonly Diagnostic[]): void {
    for (const diagnostic of diagnostics) {
      const { rule, message, span } = diagnostic;
      const key = `${rule} ${span.line}:${span.column} ${message}`;
      if (this.#known.has(key)) continue;
      this.#known.set(key, diagnostic);
      this.#emit({ type: 'warning', diagnostic });
    }
  }
}

function plannedBuild(
  dockerfile: Dockerfile,
  options: BuildOptions,
  findImage: FindImage,
): Promise<BuildPlan> {
  return planBuild(dockerfile, {
    buildArgs: options.buildArgs ?? {},
    ...(options.target === undefined ? {} : { target: options.target }),
    ...(options.platform ? { platform: options.platform } : {}),
    findImage,
    ...(options.namedContexts ? { namedContexts: options.namedContexts } : {}),
    openLayout: (source, platform) => openImageLayout(options.store, source, platform),
  });
}

interface ExportInputs extends BuildInputs {
  readonly records: readonly BuildRecord[];
  readonly epoch: number;
  readonly emit: (event: BuildEvent) => void;
}

type ExportReport = Omit<BuildResult, 'warnings' | 'cachedSteps' | 'totalSteps'>;

/** Writes every output, one after the other. */
async function exportAll(
  built: BuiltImages,
  { options, records, epoch, signal, emit }: ExportInputs,
): Promise<ExportReport> {
  const { store, annotations = [] } = options;
  const outputs: readonly BuildOutput[] = options.outputs?.length ? options.outputs : [{ kind: 'store' }];
  const exportOptions: ExportOptions = {
    store,
    tags: (options.tags ?? []).map(withDefaultTag),
    annotations,
    epoch,
    preserveTimes: options.timestamp?.kind === 'preserve',
    signal,
  };
  const exported: ExportedImage[] = [];
  for (const output of outputs) {
    signal.throwIfAborted();
    const image = await exportTo(output, built, exportOptions);
    if (image === null) continue;
    exported.push(image);
    if (output.kind === 'store') {
      attachRecords(options.store, image, records);
      emit({ type: 'export', imageId: mainImage(image).imageId, tags: image.names.map(familiarName) });
    }
  }
  const [shown = writeImage({}, built, { ...exportOptions, annotations: [] })] = exported;
  const names = new Map(exported.flatMap((image) => image.names).map((name) => [canonicalName(name), name]));
  return {
    imageId: mainImage(shown).imageId,
    manifestDigest: shown.descriptor.digest,
    descriptor: shown.descriptor,
    images: shown.images,
    names: [...names.values()],
    hasImage: exported.length > 0,
  };
}

/** Each image in the store gets the record of what it was made from. */
function attachRecords(store: Store, { images }: ExportedImage, records: readonly BuildRecord[]): void {
  for (const record of records) {
    const image = images.find(({ platform }) => samePlatform(platform, record.platform));
    if (image !== undefined) attachRecord(store, image.manifestDigest, record);
  }
}

function mainImage({ images }: ExportedImage): ExportedImage['images'][number] {
  const own = images.find(({ platform }) => samePlatform(platform, hostPlatform()));
  return own ?? (images[0] as ExportedImage['images'][number]);
}

/** A switch among the build arguments (Go's strconv.ParseBool). */
function isTrue(value: string | undefined): boolean {
  return /^(?:1|t|T|true|TRUE|True)$/.test(value ?? '');
}
