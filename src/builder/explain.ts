import type { StepRecord } from '../store/contracts.ts';

/** The components in the order in which a difference is named: the cause before its consequences. */
const order = [
  'instruction',
  'arguments',
  'environment',
  'files',
  'user',
  'workdir',
  'mounts',
  'network',
  'options',
  'base',
];

/**
 * One line saying why a step was not found in the cache, by comparing its key's parts with those of the nearest earlier
 * record of the same place. Undefined when there is none to compare with: the step is simply new.
 */
export function explainMiss(
  step: { readonly components: Readonly<Record<string, string>> },
  earlier: StepRecord | undefined,
): string | undefined {
  if (earlier === undefined) return undefined;
  const names = [...new Set([...Object.keys(step.components), ...Object.keys(earlier.components)])];
  const changed = names.filter((name) => step.components[name] !== earlier.components[name]);
  if (changed.length === 0) return 'its layer is no longer in the store';
  const first = changed.sort((a, b) => order.indexOf(a) - order.indexOf(b))[0] as string;
  return describe(first, earlier.components[first], step.components[first]);
}

function describe(name: string, before: string | undefined, after: string | undefined): string {
  if (name === 'base') return 'what it builds on changed';
  if (name === 'files') return 'a file that it copies changed';
  if (name === 'mounts') return `what it mounts changed: ${changedMount(before, after)}`;
  if (name === 'environment' || name === 'arguments') return `${name}: ${firstDifference(before, after)}`;
  return `${name} was ${quote(before)}, is ${quote(after)}`;
}

/** `bind at /src`: the first mount that is new, or shows something else; one that is gone when there is none. */
function changedMount(before = '', after = ''): string {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  const line = fresh.find((each) => !old.includes(each)) ?? old.find((each) => !fresh.includes(each)) ?? '';
  return line.split('=')[0] || 'their order';
}

/** The first line that differs between two lists of NAME=value lines. */
function firstDifference(before = '', after = ''): string {
  const old = new Set(before.split('\n'));
  const fresh = after.split('\n').filter((line) => !old.has(line));
  const gone = before.split('\n').filter((line) => !after.split('\n').includes(line));
  const name = (fresh[0] ?? gone[0] ?? '').split('=')[0];
  const was = gone.find((line) => line.split('=')[0] === name);
  const is = fresh.find((line) => line.split('=')[0] === name);
  return `${quote(was)} became ${quote(is)}`;
}

function quote(text: string | undefined): string {
  if (text === undefined || text === '') return '(none)';
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 117)}…` : text);
}
