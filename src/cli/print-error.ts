import { type CairnError, renderError, renderWarning } from '../errors/index.ts';
import type { Diagnostic } from '../parser/index.ts';
import type { Host } from './host.ts';

type Target = Pick<Host, 'env' | 'stderr'>;

/** Shows an error on stderr, in colour on a terminal. */
export function printError(host: Target, error: CairnError): void {
  host.stderr.write(renderError(error, { color: hasColor(host) }));
}

/** Shows what a build check found on stderr. */
export function printWarning(host: Target, { rule, message, span }: Diagnostic): void {
  host.stderr.write(renderWarning({ rule, message, span }, { color: hasColor(host) }));
}

/** A terminal whose user has not asked for plain text (https://no-color.org). */
function hasColor({ env, stderr }: Target): boolean {
  return stderr.isTty && !env.NO_COLOR && env.TERM !== 'dumb';
}
