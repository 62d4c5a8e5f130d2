import { type BuildOptions, forecastBuild, type StepForecast } from '../../builder/index.ts';
import { printable } from '../../errors/index.ts';
import type { Host } from '../host.ts';
import { stepTitle } from '../progress/index.ts';

/** `build --dry-run`: a line for each step on standard output. @returns the exit code: 0, whatever would have to be made */
export async function runForecast(host: Host, options: BuildOptions): Promise<number> {
  const steps = await forecastBuild({ ...options, signal: host.signal, now: host.now });
  for (const step of steps) host.stdout.write(`${forecastLine(step)}\n`);
  const count = (verdict: StepForecast['verdict']) => steps.filter((step) => step.verdict === verdict).length;
  host.stderr.write(
    `${count('hit')} of ${steps.length} steps are in the cache, ${count('miss')} would be executed, ${count('unknown')} cannot be told\n`,
  );
  return 0;
}

const words: Readonly<Record<StepForecast['verdict'], string>> = {
  hit: 'HIT',
  miss: 'MISS',
  unknown: 'UNKNOWN',
};

function forecastLine({ step, verdict, reason }: StepForecast): string {
  const line = `${words[verdict].padEnd(7)} ${stepTitle(step)}`;
  return reason === '' ? line : `${line}: ${printable(reason)}`;
}
