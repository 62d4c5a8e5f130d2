import { CairnError, type Span } from '../errors/index.ts';
import type { BuildOptions } from './contracts.ts';
import type { BuildPlan } from './plan.ts';

/**
 * Refuses, before anything runs, a Dockerfile that asks for rights that nobody granted it.
 * @throws {CairnError} ENTITLEMENT_REQUIRED, DEVICE_UNSUPPORTED with the place
 */
export function checkEntitlements(plan: BuildPlan, options: Pick<BuildOptions, 'allow' | 'network'>): void {
  const allowed = new Set(options.allow);
  for (const { instruction } of plan.stages.flatMap((stage) => stage.instructions)) {
    if (instruction.kind !== 'run') continue;
    if (instruction.security === 'insecure' && !allowed.has('security.insecure'))
      throw notGranted('security.insecure', 'RUN --security=insecure', instruction.span);
    // Every command has the host's network unless the build was told otherwise: only then is it something to ask for.
    if (instruction.network === 'host' && options.network === 'none' && !allowed.has('network.host'))
      throw notGranted('network.host', 'RUN --network=host in a build with --network none', instruction.span);
    const [device] = instruction.devices;
    if (device !== undefined)
      throw new CairnError('DEVICE_UNSUPPORTED', {
        message: `RUN --device=${device.name}: devices cannot be given to a build`,
        at: instruction.span,
        help: 'remove --device: what a build computes must not depend on the devices of a machine',
      });
  }
}

function notGranted(entitlement: string, what: string, at: Span): CairnError {
  return new CairnError('ENTITLEMENT_REQUIRED', {
    message: `${entitlement} is not allowed: ${what}`,
    at,
    help: `if you trust this Dockerfile, build with --allow ${entitlement}`,
  });
}
