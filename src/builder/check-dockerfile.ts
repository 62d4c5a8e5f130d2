import { CairnError } from '../errors/index.ts';
import { hostPlatform } from '../oci/index.ts';
import {
  type Diagnostic,
  type Dockerfile,
  listTargets,
  type Outline,
  outlineTarget,
  parseDockerfile,
  type Stage,
  type Target,
} from '../parser/index.ts';
import { openBuildAccess } from './build-access.ts';
import { automaticArgs, checkPlan } from './check.ts';
import { type IgnoreRules, readIgnoreRules } from './context/ignore-rules.ts';
import { openContext } from './context/open-context.ts';
import type { BuildOptions } from './contracts.ts';
import { type DockerfileText, parseOptions, readDockerfile } from './dockerfile-source.ts';
import { findImage } from './find-image.ts';
import { openImageLayout } from './image-layout.ts';
import { type BuildPlan, findTarget, type PlannedStage, planBuild } from './plan.ts';
import { ignoreFiles } from './session.ts';

/** A Dockerfile as text, for showing where something is. */
export interface DockerfileFile {
  readonly name: string;
  readonly text: string;
}

/** What the build checks say about a Dockerfile. */
export interface CheckReport {
  readonly file: DockerfileFile;
  /** In the order of their lines. */
  readonly diagnostics: readonly Diagnostic[];
  /** Why it could not be built, or not be checked to its end. */
  readonly error?: CairnError;
}

/**
 * `--check`: runs the build checks without building anything: over all stages, or with a target over those that it needs. Images that
 * are not in the store are passed over: what depends on them is not checked.
 * @throws {CairnError} when there is no Dockerfile to check
 */
export function checkDockerfile(options: BuildOptions): Promise<CheckReport> {
  return withDockerfile(options, async ({ file, ignore, parse }) => {
    try {
      const dockerfile = parse();
      const { plan, error } = await planStages(dockerfile, options);
      const { diagnostics, isError } = checkPlan(dockerfile, plan, {
        buildArgs: options.buildArgs ?? {},
        ignore,
        ...(options.target ? {} : { isWhole: true }),
      });
      const failure = error ?? (isError ? violation(diagnostics) : undefined);
      return { file, diagnostics, ...(failure ? { error: failure } : {}) };
    } catch (error) {
      if (error instanceof CairnError) return { file, diagnostics: [], error };
      throw error;
    }
  });
}

/** `--call targets`: the stages. @throws {CairnError} as the parser does */
export function readTargets(
  options: BuildOptions,
): Promise<{ readonly file: DockerfileFile; readonly targets: readonly Target[] }> {
  return withDockerfile(options, async ({ file, parse }) => ({ file, targets: listTargets(parse()) }));
}

/** `--call outline`: what the target can be given. @throws {CairnError} as the parser does, STAGE_NOT_FOUND */
export function readOutline(
  options: BuildOptions,
): Promise<{ readonly file: DockerfileFile; readonly outline: Outline }> {
  return withDockerfile(options, async ({ file, parse }) => {
    const dockerfile = parse();
    const { plan } = await planStages(dockerfile, options);
    const target = dockerfile.stages[findTarget(dockerfile, options.target)];
    const outline = outlineTarget(dockerfile, target, {
      buildArgs: options.buildArgs ?? {},
      automaticArgs: automaticArgs(plan),
    });
    return { file, outline };
  });
}

interface ReadDockerfile {
  readonly file: DockerfileFile;
  readonly ignore: IgnoreRules | null;
  /** @throws {CairnError} as the parser does */
  readonly parse: () => Dockerfile;
}

async function withDockerfile<T>(
  options: BuildOptions,
  work: (read: ReadDockerfile) => Promise<T>,
): Promise<T> {
  const signal = options.signal ?? new AbortController().signal;
  const access = openBuildAccess(options, signal);
  try {
    const context = await openContext(options.context, { ...options, ...access });
    try {
      const source = await readDockerfile(options.dockerfile, context);
      const ignore = readIgnoreRules(ignoreFiles(context, source));
      const parse = () => parseDockerfile(source.text, parseOptions(source, options));
      return await work({ file: { name: source.name, text: textOf(source) }, ignore, parse });
    } finally {
      context.close();
    }
  } finally {
    access.close();
  }
}

function textOf({ text }: DockerfileText): string {
  return typeof text === 'string' ? text : Buffer.from(text).toString('utf8');
}

/** The plan of all stages, or of those that the target needs; with the first thing that would keep them from being built. */
async function planStages(
  dockerfile: Dockerfile,
  options: BuildOptions,
): Promise<{ readonly plan: BuildPlan; readonly error?: CairnError }> {
  const wanted = options.target
    ? [findTarget(dockerfile, options.target)]
    : dockerfile.stages.map((stage: Stage) => stage.index).reverse();
  const stages = new Map<number, PlannedStage>();
  const errors: CairnError[] = [];
  let globalArgs: BuildPlan['globalArgs'] = new Map();
  for (const index of wanted) {
    if (stages.has(index)) continue;
    try {
      const plan = await planOne(dockerfile, options, index);
      globalArgs = plan.globalArgs;
      for (const stage of plan.stages) stages.set(stage.index, stage);
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      if (error.code !== 'IMAGE_NOT_FOUND') errors.push(error);
    }
  }
  const error = errors.sort((a, b) => (a.at?.line ?? 0) - (b.at?.line ?? 0))[0];
  const plan = { stages: [...stages.values()], target: wanted[0] ?? 0, globalArgs };
  return { plan, ...(error ? { error } : {}) };
}

function planOne(dockerfile: Dockerfile, options: BuildOptions, index: number): Promise<BuildPlan> {
  const { store, namedContexts, platform, platforms } = options;
  return planBuild(dockerfile, {
    buildArgs: options.buildArgs ?? {},
    target: String(index),
    platform: platforms?.[0] ?? platform ?? hostPlatform(),
    findImage: (name, wanted, at) => findImage(store, name, wanted, at),
    ...(namedContexts ? { namedContexts } : {}),
    openLayout: (source, wanted) => openImageLayout(store, source, wanted),
  });
}

function violation(diagnostics: readonly Diagnostic[]): CairnError {
  const rules = [...new Set(diagnostics.map(({ rule }) => rule))].join(', ');
  return new CairnError('CHECK_FAILED', { message: `lint violation found for rules: ${rules}` });
}
