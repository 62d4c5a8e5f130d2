import type { Host } from '../host.ts';
import { PlainProgress } from './plain-progress.ts';
import type { Progress } from './progress.ts';
import type { ProgressMode } from './progress-mode.ts';
import { QuietProgress } from './quiet-progress.ts';
import { RawJsonProgress } from './rawjson-progress.ts';

export { type Progress, stepTitle } from './progress.ts';
export { chooseProgressMode, type ProgressMode } from './progress-mode.ts';

/** A display of that kind; what redraws a terminal is loaded only when it is asked for. */
export async function createProgress(
  mode: ProgressMode,
  { stderr: out, now }: Pick<Host, 'stderr' | 'now'>,
): Promise<Progress> {
  switch (mode) {
    case 'quiet':
      return new QuietProgress(out);
    case 'rawjson':
      return new RawJsonProgress(out);
    case 'plain':
      return new PlainProgress(out);
    case 'tty': {
      const { TtyProgress } = await import('./tty-progress.ts');
      return new TtyProgress(out, now);
    }
  }
}
