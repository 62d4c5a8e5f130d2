import { type MountFlag, mount } from '../sys/index.ts';

/** Shows `source` at `target`. A bind takes its flags from what it shows; others need a second call (mount(2), "Remounting"). */
export function bind(source: string, target: string, flags: readonly MountFlag[]): void {
  mount(target, { source, flags: ['bind', 'recursive'] });
  if (flags.length > 0) mount(target, { flags: ['remount', 'bind', ...flags] });
}
