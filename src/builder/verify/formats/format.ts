import type { Detail } from '../cause.ts';

/** Looks at two contents that are inside of something. @param place - where, for people: `member a.txt` */
export type Examine = (a: Buffer, b: Buffer, place: string) => Iterable<Detail>;

/** A part of an archive: what can differ about it. */
export interface Member {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly content: () => Buffer | null;
}

export interface MemberFormat {
  /** Of the archive, for people: `tar`. */
  readonly format: string;
  /** For attributes that differ: the cause, and the line that fixes it. */
  readonly attribute: (name: string) => Pick<Detail, 'cause' | 'fix'>;
  /** For members in another order. */
  readonly order: Pick<Detail, 'cause' | 'fix'>;
}

/** More than this of one archive says nothing new. */
const maxDetails = 12;

/** Compares archives member by member: which there are, their order, their attributes, what is inside. */
export function* memberDetails(
  before: readonly Member[],
  after: readonly Member[],
  { format, attribute, order }: MemberFormat,
  inner: Examine,
): Generator<Detail> {
  const old = new Map(before.map((member) => [member.name, member]));
  const fresh = new Map(after.map((member) => [member.name, member]));
  let given = 0;
  const missing = [...old.keys()].filter((name) => !fresh.has(name));
  const added = [...fresh.keys()].filter((name) => !old.has(name));
  if (missing.length + added.length > 0)
    yield {
      what: `${format}: names of members`,
      before: missing.slice(0, 3).join(', '),
      after: added.slice(0, 3).join(', '),
    };
  else if (before.some((member, at) => member.name !== after[at]?.name)) {
    const at = before.findIndex((member, i) => member.name !== after[i]?.name);
    yield {
      what: `${format}: order of members`,
      before: before[at]?.name ?? '',
      after: after[at]?.name ?? '',
      ...order,
    };
  }
  for (const [name, member] of fresh) {
    const earlier = old.get(name);
    if (earlier === undefined) continue;
    for (const key of new Set([...Object.keys(earlier.attributes), ...Object.keys(member.attributes)])) {
      const [left = '', right = ''] = [earlier.attributes[key], member.attributes[key]];
      if (left === right || given++ >= maxDetails) continue;
      yield { what: `${format} member ${name}, ${key}`, before: left, after: right, ...attribute(key) };
    }
    const [left, right] = [earlier.content(), member.content()];
    if (left === null || right === null || left.equals(right) || given++ >= maxDetails) continue;
    yield* inner(left, right, `${format} member ${name}`);
  }
}
