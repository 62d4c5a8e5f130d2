import { CairnError, type Span } from '../../errors/index.ts';

/** A `--chmod` value: gives the new permission bits of a file or folder from the old ones. */
export interface ModeChange {
  /** The mode of parent folders that the copy creates; 0755 for a symbolic change. */
  readonly parentMode: number;
  apply(mode: number, isDirectory: boolean): number;
}

/**
 * Reads `--chmod`: octal 0 to 07777, or symbolic as chmod(1) has it (`u=rwX,go=rX`, `+x`, `g-w`, `o=u`), umask 0.
 * @throws {CairnError} CHMOD_INVALID
 */
export function parseModeChange(text: string, at?: Span): ModeChange {
  if (/^[0-7]+$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    if (mode > 0o7777) throw invalid(text, at);
    return { parentMode: mode & 0o777, apply: () => mode };
  }
  if (/^[0-9]/.test(text)) throw invalid(text, at);
  const clauses = text.split(',').map((clause) => parseClause(clause, text, at));
  return {
    parentMode: 0o755,
    apply: (mode, isDirectory) =>
      clauses.flat().reduce((current, action) => applyAction(current, mode, action, isDirectory), mode),
  };
}

interface Action {
  /** Bits that the clause may touch: user 0o4700, group 0o2070, other 0o1007. */
  readonly who: string;
  readonly operator: '+' | '-' | '=';
  readonly permissions: string;
}

function parseClause(clause: string, text: string, at: Span | undefined): Action[] {
  const match = /^([ugoa]*)((?:[-+=](?:[rwxXst]*|[ugo]))+)$/.exec(clause);
  if (!match) throw invalid(text, at);
  const who = match[1] === '' || match[1]?.includes('a') ? 'ugo' : (match[1] as string);
  return [...(match[2] as string).matchAll(/([-+=])([rwxXst]*|[ugo])(?=[-+=]|$)/g)].map((action) => ({
    who,
    operator: action[1] as Action['operator'],
    permissions: action[2] as string,
  }));
}

function applyAction(current: number, original: number, action: Action, isDirectory: boolean): number {
  let result = current;
  for (const who of action.who) {
    const bits = bitsFor(who, action.permissions, current, original, isDirectory);
    const all = { u: 0o4700, g: 0o2070, o: 0o1007 }[who] as number;
    if (action.operator === '+') result |= bits;
    else if (action.operator === '-') result &= ~bits;
    else result = (result & ~all) | bits;
  }
  return result;
}

const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };

function bitsFor(
  who: string,
  permissions: string,
  current: number,
  original: number,
  isDirectory: boolean,
): number {
  const shift = shifts[who] as number;
  const source = shifts[permissions];
  if (source !== undefined) return ((current >> source) & 7) << shift;
  let bits = 0;
  for (const permission of permissions) {
    if (permission === 'r') bits |= 4 << shift;
    if (permission === 'w') bits |= 2 << shift;
    if (permission === 'x') bits |= 1 << shift;
    if (permission === 'X' && (isDirectory || original & 0o111)) bits |= 1 << shift;
    if (permission === 's') bits |= who === 'u' ? 0o4000 : who === 'g' ? 0o2000 : 0;
    if (permission === 't' && who === 'o') bits |= 0o1000;
  }
  return bits;
}

function invalid(text: string, at: Span | undefined): CairnError {
  return new CairnError('CHMOD_INVALID', {
    message: `invalid --chmod value "${text}"`,
    ...(at ? { at } : {}),
    help: 'use octal digits from 0 to 07777 (--chmod=755) or a symbolic mode (--chmod=u=rwX,go=rX)',
  });
}
