import { CairnError } from '../../errors/index.ts';
import type { RunConfig } from '../../oci/index.ts';

/**
 * What is executed: ENTRYPOINT and CMD of the image, as arguments and `--entrypoint` change them
 * (moby daemon/commit.go, merge: a new entrypoint drops the image's CMD; `--entrypoint ""` clears both).
 * @throws {CairnError} USAGE when nothing is left
 */
export function commandLine(
  config: Pick<RunConfig, 'Entrypoint' | 'Cmd'>,
  args: readonly string[],
  entrypoint: string | undefined,
): readonly string[] {
  const own = entrypoint === undefined ? config.Entrypoint : entrypoint === '' ? [] : [entrypoint];
  const command = args.length > 0 || entrypoint !== undefined ? args : (config.Cmd ?? []);
  const argv = [...(own ?? []), ...command];
  if (argv.length > 0) return argv;
  throw new CairnError('USAGE', {
    message: 'no command specified',
    help: 'the image has neither ENTRYPOINT nor CMD: give a command after its name',
  });
}
