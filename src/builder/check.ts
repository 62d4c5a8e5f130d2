import { formatPlatform, normalizePlatform, type RunConfig } from '../oci/index.ts';
import {
  type BaseFacts,
  type Dockerfile,
  type LintResult,
  lint,
  parseCheckOptions,
} from '../parser/index.ts';
import type { IgnoreRules } from './context/ignore-rules.ts';
import type { BuildPlan, PlannedStage } from './plan.ts';

export interface CheckInputs {
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly ignore: IgnoreRules | null;
  /** Look into all stages, also those that the plan has not. */
  readonly isWhole?: boolean;
}

/** BUILDPLATFORM, TARGETARCH and their like, with the values of a plan. */
export function automaticArgs({ globalArgs }: BuildPlan): Readonly<Record<string, string>> {
  return Object.fromEntries([...globalArgs].filter(([name]) => /^(BUILD|TARGET)[A-Z]+$/.test(name)));
}

/**
 * Runs the build checks with what the plan knows: arguments, bases, and which paths the ignore file hides. Only the
 * stages that are built are looked into, as BuildKit does in a normal build.
 */
export function checkPlan(dockerfile: Dockerfile, plan: BuildPlan, inputs: CheckInputs): LintResult {
  const { ignore } = inputs;
  const checks = inputs.buildArgs.BUILDKIT_DOCKERFILE_CHECK;
  return lint(dockerfile, {
    buildArgs: inputs.buildArgs,
    automaticArgs: automaticArgs(plan),
    ...(checks === undefined ? {} : { checks: parseCheckOptions(checks) }),
    base: (stage) => {
      const planned = plan.stages.find((each) => each.index === stage.index);
      return planned?.base.kind === 'image' ? factsOf(planned) : undefined;
    },
    ...(inputs.isWhole ? {} : { stages: new Set(plan.stages.map((stage) => stage.index)) }),
    ...(ignore && !ignore.matcher.hasNegation ? { isIgnored: (path) => ignore.matcher.excludes(path) } : {}),
  });
}

function factsOf({ base, platform, instructions }: PlannedStage): BaseFacts | undefined {
  if (base.kind !== 'image') return undefined;
  const { config } = base.image;
  const run: RunConfig = config.config ?? {};
  return {
    env: run.Env ?? [],
    ...(run.Shell ? { shell: run.Shell } : {}),
    triggers: instructions.filter((each) => each.isTrigger).map((each) => each.instruction),
    platform: { expected: formatPlatform(platform), actual: formatPlatform(normalizePlatform(config)) },
  };
}
