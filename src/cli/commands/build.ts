import { buildFlags } from '../build/build-flags.ts';
import type { Command } from '../command.ts';

export const command: Command = {
  usage: '[OPTIONS] PATH | URL | -',
  summary: 'Build an image from a Dockerfile',
  args: { min: 1, max: 1 },
  flags: buildFlags,
  run: async (invocation) => {
    // Not before it is needed: `build --help` stays light.
    const { runBuild } = await import('../build/run-build.ts');
    return runBuild(invocation);
  },
};
