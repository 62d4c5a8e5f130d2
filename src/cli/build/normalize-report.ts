import type { BuildEvent, BuildStep } from '../../builder/index.ts';
import { printable } from '../../errors/index.ts';
import { toText } from '../../sys/index.ts';
import { stepTitle } from '../progress/progress.ts';

type Applied = Extract<BuildEvent, { readonly type: 'step-normalized' }>['applied'];

/** Gathers what `--explain-normalize` lists at the end of a build. */
export class NormalizeReport {
  #steps: ReadonlyMap<number, BuildStep> = new Map();
  readonly #applied = new Map<number, Applied>();
  readonly #cached = new Set<number>();

  readonly onEvent = (event: BuildEvent): void => {
    if (event.type === 'plan') this.#steps = new Map(event.steps.map((step) => [step.id, step]));
    if (event.type === 'step-normalized') this.#applied.set(event.id, event.applied);
    if (event.type === 'step-end' && event.cached) this.#cached.add(event.id);
  };

  /** A line for each step and, below it, each path with its rule. A cached layer was cleaned when it was made. */
  text(): string {
    const lines: string[] = [];
    for (const [id, step] of this.#steps) {
      const applied = this.#applied.get(id) ?? [];
      const isCachedRun = this.#cached.has(id) && /^RUN\b/i.test(step.name);
      if (applied.length === 0 && !isCachedRun) continue;
      lines.push(`normalized ${stepTitle(step)}`);
      if (isCachedRun) lines.push('  cached: normalized when it was run');
      for (const { rule, action, path } of applied)
        lines.push(`  ${rule}: ${action === 'drop' ? 'left out' : 'rewrote'} /${printable(toText(path))}`);
    }
    if (lines.length === 0) lines.push('normalized nothing');
    return `${lines.join('\n')}\n`;
  }
}
