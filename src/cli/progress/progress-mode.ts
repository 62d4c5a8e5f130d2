import { UsageError } from '../command.ts';
import type { Host } from '../host.ts';

export type ProgressMode = 'tty' | 'plain' | 'rawjson' | 'quiet';

/**
 * How a build is shown: `--progress`, else `$BUILDKIT_PROGRESS`, else by whether stderr is a terminal that can
 * redraw (`CI=true` and `TERM=dumb` say that it is none).
 * @throws {UsageError}
 */
export function chooseProgressMode(
  flag: string | undefined,
  quiet: boolean,
  host: Pick<Host, 'env' | 'stderr'>,
): ProgressMode {
  if (quiet) return 'quiet';
  const wanted = flag ?? (host.env.BUILDKIT_PROGRESS || 'auto');
  switch (wanted) {
    case 'auto': {
      const isCi = ['true', '1'].includes(host.env.CI ?? '');
      return host.stderr.isTty && !isCi && host.env.TERM !== 'dumb' ? 'tty' : 'plain';
    }
    case 'tty':
      if (!host.stderr.isTty) throw new UsageError('--progress=tty needs a terminal on standard error');
      return 'tty';
    case 'plain':
    case 'rawjson':
    case 'quiet':
      return wanted;
    case 'none':
      return 'quiet';
    default:
      throw new UsageError(
        `invalid progress mode "${wanted}": must be one of "auto", "none", "plain", "quiet", "rawjson" or "tty"`,
      );
  }
}
