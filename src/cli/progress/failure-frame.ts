import type { BuildStep } from '../../builder/index.ts';
import { stepTitle } from './progress.ts';

/** The log of a failed step between rules, as BuildKit frames it; nothing when it printed nothing. */
export function failureFrame(step: BuildStep, lines: readonly string[]): string {
  if (lines.length === 0) return '';
  return ['------', ` > ${stepTitle(step)}:`, ...lines, '------', ''].join('\n');
}
