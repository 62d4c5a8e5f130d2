import { formatPlatform, normalizePlatform, type RunConfig } from '../oci/index.ts';
import { type BaseFacts, type Dockerfile, type LintResult, lint } from '../parser/index.ts';
import type { IgnoreRules } from './context/ignore-rules.ts';
import type { BuildPlan, PlannedStage } from './plan.ts';

/**
 * Runs the build checks with what the plan knows: arguments, bases, and which paths the ignore file hides. Only the
 * stages that are built are looked into, as BuildKit does in a normal build.
 */
export function checkPlan(
  dockerfile: Dockerfile,
  plan: BuildPlan,
  inputs: { readonly buildArgs: Readonly<Record<string, string>>; readonly ignore: IgnoreRules | null },
): LintResult {
  const automatic = [...plan.globalArgs].filter(([name]) => /^(BUILD|TARGET)[A-Z]+$/.test(name));
  const { ignore } = inputs;
  return lint(dockerfile, {
    buildArgs: inputs.buildArgs,
    automaticArgs: Object.fromEntries(automatic),
    base: (stage) => {
      const planned = plan.stages.find((each) => each.index === stage.index);
      return planned?.base.kind === 'image' ? factsOf(planned) : undefined;
    },
    stages: new Set(plan.stages.map((stage) => stage.index)),
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
