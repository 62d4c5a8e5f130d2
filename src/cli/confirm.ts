import type { Host } from './host.ts';

/**
 * Asks on stdout, as Docker's prune commands do; only `y` is yes. The end of input is no.
 */
export async function confirm(host: Host, warning: string): Promise<boolean> {
  host.stdout.write(`${warning} [y/N] `);
  let answer = '';
  for await (const chunk of host.stdin.chunks()) {
    answer += Buffer.from(chunk).toString('utf8');
    if (answer.includes('\n')) break;
  }
  return answer.split('\n')[0]?.trim().toLowerCase() === 'y';
}
