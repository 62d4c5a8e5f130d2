import type { Command } from '../command.ts';
import { runFlags } from '../run/run-flags.ts';

export const command: Command = {
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: 'Run a command in a new container',
  args: { min: 1, max: Number.POSITIVE_INFINITY },
  interspersed: false,
  usageExitCode: 125,
  flags: runFlags,
  run: async (invocation) => {
    // Not before it is needed: `run --help` stays light.
    const { runImage } = await import('../run/run-image.ts');
    return runImage(invocation);
  },
};
