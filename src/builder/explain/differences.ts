import type { Digest } from '../../oci/index.ts';
import { toText } from '../../sys/index.ts';
import { PatternMatcher } from '../context/pattern-matcher.ts';
import type { AccountLayer, AccountVariable, StepAccount } from './account.ts';
import { compareInputs, type FileDifference, type InputFile } from './input-list.ts';

/** One thing that is not as it was, in words, and how many single differences it stands for. */
export interface Difference {
  readonly text: string;
  readonly count: number;
}

/** The files of an input list, or null when it is not known any more. */
export type ReadList = (name: Digest) => readonly InputFile[] | null;

export interface Compared {
  readonly before: StepAccount;
  readonly after: StepAccount;
  readonly readBefore: ReadList;
  readonly readAfter: ReadList;
}

/**
 * All that differs between two accounts, the first cause first: what the instruction says, what it reads, the builder's options, and
 * last what it builds on.
 */
export function differencesOf(compared: Compared): readonly Difference[] {
  const { before, after } = compared;
  const found = [
    instructionDifference(before, after),
    variableDifference(before.environment, after.environment),
    textDifference('the user', before.user, after.user),
    before.kind === 'run' ? textDifference('the working folder', before.workdir, after.workdir) : null,
    filesDifference(compared),
    mountsDifference(compared),
    ...settingDifferences(compared),
    baseDifference(before.base, after.base),
  ];
  return found.filter((each) => each !== null);
}

/** What the text means: the variable that changed it, or the text itself. */
function instructionDifference(before: StepAccount, after: StepAccount): Difference | null {
  if (before.instruction === after.instruction && before.kind === after.kind && before.shell === after.shell)
    return null;
  if (before.written !== after.written) return writtenDifference(before, after);
  return (
    variableDifference(before.used, after.used) ??
    textDifference('SHELL', before.shell, after.shell) ??
    textDifference('the working folder', before.workdir, after.workdir) ?? {
      text: `the instruction ${wasAndIs(before.instruction, after.instruction)}`,
      count: 1,
    }
  );
}

function writtenDifference(before: StepAccount, after: StepAccount): Difference {
  return { text: `the instruction ${wasAndIs(before.written, after.written)}`, count: 1 };
}

/** The first variable of the present list that is new or has another value; else the first that is gone; else the order. */
function variableDifference(
  before: readonly AccountVariable[] = [],
  after: readonly AccountVariable[] = [],
): Difference | null {
  const old = new Map(before.map((each) => [each[1], each]));
  const fresh = new Map(after.map((each) => [each[1], each]));
  const texts: string[] = [];
  for (const [name, [kind, , value, hidden]] of fresh) {
    const earlier = old.get(name);
    const what = `${kind} ${name}`;
    if (earlier === undefined) texts.push(hidden ? `${what} is new` : `${what} is new: ${quote(value)}`);
    else if (earlier[2] !== value)
      texts.push(
        hidden ? `${what} changed (its value is not shown)` : `${what} ${wasAndIs(earlier[2], value)}`,
      );
  }
  for (const [name, [kind, , value, hidden]] of old)
    if (!fresh.has(name)) texts.push(`${kind} ${name} is gone${hidden ? '' : `, it was ${quote(value)}`}`);
  const [text] = texts;
  if (text !== undefined) return { text, count: texts.length };
  const order = (list: Iterable<string>) => [...list].join('\0');
  if (order(old.keys()) === order(fresh.keys())) return null;
  return { text: 'the variables have another order', count: 1 };
}

function textDifference(
  what: string,
  before: string | undefined,
  after: string | undefined,
): Difference | null {
  return before === after ? null : { text: `${what} ${wasAndIs(before, after)}`, count: 1 };
}

function filesDifference({ before, after, readBefore, readAfter }: Compared): Difference | null {
  if (before.files === after.files) return null;
  const variable = variableDifference(before.used, after.used);
  const old = before.files === undefined ? null : readBefore(before.files);
  const fresh = after.files === undefined ? null : readAfter(after.files);
  if (old === null || fresh === null) return variable ?? { text: 'a file that it copies changed', count: 1 };
  const all = compareInputs(old, fresh);
  // What an option makes of every file is that option's difference, not each file's.
  const files = all.filter((file) => optionBehind(file, before, after) === null);
  const option = all[0] === undefined ? null : optionBehind(all[0], before, after);
  if (files.length === 0 && option !== null) return { text: option, count: 0 };
  const count = Math.max(files.length, 1);
  const [first] = files;
  if (variable !== null) return { ...variable, count };
  const isSelection = files.every(({ attribute }) => attribute === 'added' || attribute === 'removed');
  if (isSelection && before.selection !== after.selection && before.written !== after.written)
    return { ...writtenDifference(before, after), count };
  if (first === undefined) return { ...selectionDifference(before, after), count };
  const ignored = files.find((file) => ignoreChanged(file, before, after));
  if (isSelection && ignored !== undefined)
    return { text: `${shownFile(ignored)} by a change of the ignore file, ${counted(files, fresh)}`, count };
  return { text: `${shownFile(first)}, ${counted(files, fresh)}`, count };
}

/** The same files, named in another way or order. */
function selectionDifference(before: StepAccount, after: StepAccount): Difference {
  if (before.written !== after.written) return writtenDifference(before, after);
  return { text: 'its files have another order', count: 1 };
}

/** The builder option that makes a file look changed. */
function optionBehind({ attribute }: FileDifference, before: StepAccount, after: StepAccount): string | null {
  const name = attribute === 'time' ? 'timestamp' : attribute === 'mode' ? 'context modes' : null;
  if (name === null || before.settings[name] === after.settings[name]) return null;
  return settingText(name, before.settings[name], after.settings[name]);
}

/** Whether the ignore file hides a path now that it did not hide before, or the other way round. */
function ignoreChanged(
  { path, attribute }: FileDifference,
  before: StepAccount,
  after: StepAccount,
): boolean {
  if (JSON.stringify(before.ignored) === JSON.stringify(after.ignored)) return false;
  const lines = attribute === 'removed' ? after.ignored : attribute === 'added' ? before.ignored : undefined;
  if (lines === undefined) return false;
  return PatternMatcher.of(lines).excludes(toText(path));
}

function shownFile({ path, attribute }: FileDifference): string {
  const name = toText(path) || '/';
  const isEvent = attribute === 'added' || attribute === 'removed';
  return isEvent ? `${name} was ${attribute}` : `${name} changed (${attribute})`;
}

/** `1 of 4,312 files`. */
function counted(files: readonly FileDifference[], all: readonly InputFile[]): string {
  const total = Math.max(all.length, files.length);
  return `${grouped(files.length)} of ${grouped(total)} ${total === 1 ? 'file' : 'files'}`;
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

function mountsDifference({ before, after, readBefore, readAfter }: Compared): Difference | null {
  const { mounts: old = [] } = before;
  const { mounts: fresh = [] } = after;
  const differences: Difference[] = [];
  for (const mount of fresh) {
    const earlier = old.find(({ title }) => title === mount.title);
    if (earlier === undefined) differences.push({ text: `${mount.title} is new`, count: 1 });
    else if (earlier.settings !== mount.settings)
      differences.push({ text: `${mount.title} ${wasAndIs(earlier.settings, mount.settings)}`, count: 1 });
    else if (earlier.files !== mount.files)
      differences.push(
        mountFiles(mount.title, {
          old: earlier.files === undefined ? null : readBefore(earlier.files),
          fresh: mount.files === undefined ? null : readAfter(mount.files),
        }),
      );
  }
  for (const { title } of old)
    if (!fresh.some((mount) => mount.title === title))
      differences.push({ text: `${title} is gone`, count: 1 });
  const [first] = differences;
  if (first === undefined) return null;
  return { text: first.text, count: differences.reduce((sum, { count }) => sum + count, 0) };
}

function mountFiles(
  title: string,
  { old, fresh }: { readonly old: readonly InputFile[] | null; readonly fresh: readonly InputFile[] | null },
): Difference {
  const files = old === null || fresh === null ? [] : compareInputs(old, fresh);
  const [first] = files;
  if (first === undefined || fresh === null) return { text: `what ${title} shows changed`, count: 1 };
  return { text: `${title}: ${shownFile(first)}, ${counted(files, fresh)}`, count: files.length };
}

function settingDifferences({ before, after }: Compared): readonly Difference[] {
  const names = [...new Set([...Object.keys(after.settings), ...Object.keys(before.settings)])];
  return names
    .filter((name) => name !== 'context modes' && before.settings[name] !== after.settings[name])
    .map((name) => ({ text: settingText(name, before.settings[name], after.settings[name]), count: 1 }));
}

function settingText(name: string, before: string | undefined, after: string | undefined): string {
  return `the option ${name} ${wasAndIs(before, after)}`;
}

/** The lowest layer that is another one, and what made it. */
function baseDifference(before: readonly AccountLayer[], after: readonly AccountLayer[]): Difference | null {
  const at = after.findIndex(([diffId], i) => before[i]?.[0] !== diffId);
  const index = at < 0 ? after.length : at;
  const [old, fresh] = [before[index], after[index]];
  if (old === undefined && fresh === undefined) return null;
  const count = Math.max(1, missing(before, after) + missing(after, before));
  return { text: layerText(old?.[1], fresh?.[1], { before, after, index }), count };
}

/** How many layers of one stack the other has not. */
function missing(some: readonly AccountLayer[], others: readonly AccountLayer[]): number {
  const known = new Set(others.map(([diffId]) => diffId));
  return some.filter(([diffId]) => !known.has(diffId)).length;
}

function layerText(
  old: string | undefined,
  fresh: string | undefined,
  {
    before,
    after,
    index,
  }: { before: readonly AccountLayer[]; after: readonly AccountLayer[]; index: number },
): string {
  if (baseOf(old) !== null || baseOf(fresh) !== null) {
    // The bases may have different numbers of layers: what counts is where both stacks begin.
    const [oldBase, freshBase] = [baseOf(before[0]?.[1]), baseOf(after[0]?.[1])];
    if (oldBase !== null && freshBase !== null) return baseText(oldBase, freshBase);
  }
  const has = (list: readonly AccountLayer[], origin: string | undefined) =>
    origin !== undefined && list.slice(index).some((layer) => layer[1] === origin);
  if (fresh !== undefined && old === fresh) return `${cut(fresh)} above changed its result`;
  if (fresh !== undefined && !has(before, fresh)) {
    // A line that has taken the place of another one, or has come before it.
    return `${cut(fresh)} above is new`;
  }
  if (old !== undefined && !has(after, old)) return `${cut(old)} above is gone`;
  return `the steps above have another order, from ${cut(fresh ?? old ?? '')} on`;
}

/** `[name, digest]` of `FROM name@digest`. */
function baseOf(origin: string | undefined): readonly [name: string, digest: string] | null {
  const match = /^FROM (.*?)(?:@(sha256:[0-9a-f]{64}))?$/s.exec(origin ?? '');
  return match ? [match[1] ?? '', match[2] ?? ''] : null;
}

function baseText(before: readonly [string, string], after: readonly [string, string]): string {
  if (before[0] !== after[0]) return `FROM ${before[0]} became FROM ${after[0]}`;
  if (before[1] === after[1]) return `FROM ${after[0]}: its files changed`;
  return `FROM ${after[0]}: ${before[1]} → ${after[1]}`;
}

function cut(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

const shownLength = 100;

/** Both values, each cut to the part around the first difference. */
function wasAndIs(before: string | undefined, after: string | undefined): string {
  const [old, fresh] = [before ?? '', after ?? ''];
  let same = 0;
  while (same < old.length && same < fresh.length && old[same] === fresh[same]) same++;
  const longest = Math.max(old.length, fresh.length);
  const from = longest <= shownLength ? 0 : Math.max(0, same - 30);
  return `was ${quote(before, from)}, is ${quote(after, from)}`;
}

function quote(text: string | undefined, from = 0): string {
  if (text === undefined || text === '') return '(none)';
  const part = text.slice(from, from + shownLength);
  const [start, end] = [from > 0 ? '…' : '', from + shownLength < text.length ? '…' : ''];
  return JSON.stringify(`${start}${part}${end}`);
}
