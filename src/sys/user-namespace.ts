import { readFileSync } from 'node:fs';

let known: boolean | undefined;

/**
 * True when user ids here are not the machine's own: root may then have most rights over its own mounts, but neither the
 * `trusted.*` attributes nor device nodes (user_namespaces(7)).
 */
export function isUserNamespace(): boolean {
  known ??= idRanges('uid').some(
    ([first, outside, count]) => first !== 0 || outside !== 0 || count !== wholeRange,
  );
  return known;
}

const wholeRange = 0xffffffff;

/** Whether an id exists in this process's user namespace, so that files can be given to it. */
export function isMappedId(kind: 'uid' | 'gid', id: number): boolean {
  return idRanges(kind).some(([first, , count]) => id >= first && id < first + count);
}

type IdRange = readonly [first: number, outside: number, count: number];

const ranges = new Map<'uid' | 'gid', readonly IdRange[]>();

function idRanges(kind: 'uid' | 'gid'): readonly IdRange[] {
  const read = ranges.get(kind) ?? readRanges(`/proc/self/${kind}_map`);
  ranges.set(kind, read);
  return read;
}

function readRanges(file: string): readonly IdRange[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [first = 0, outside = 0, count = 0] = line.trim().split(/\s+/).map(Number);
      return [first, outside, count];
    });
}
