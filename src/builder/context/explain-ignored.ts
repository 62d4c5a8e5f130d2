import { lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { CairnError, type Span } from '../../errors/index.ts';
import { readIgnoreRules } from './ignore-rules.ts';

/** Whether a path is in a build context, and what decided that. */
export interface IgnoreVerdict {
  /** Relative to the context, `.` for the context itself. */
  readonly path: string;
  /** There is such a file now. */
  readonly exists: boolean;
  readonly isIncluded: boolean;
  /** The last pattern that matches the path or a folder above it; absent when none does. */
  readonly by?: { readonly pattern: string; readonly at: Span };
  /** Left out itself, but its folder is looked into: a later `!` pattern may bring something below it back. */
  readonly isLookedInto: boolean;
}

export interface IgnoreExplanation {
  /** The ignore file that counts; null when there is none. */
  readonly file: string | null;
  readonly verdicts: readonly IgnoreVerdict[];
}

/**
 * Says for paths whether they are in a local build context and why (`cairn ignore explain`).
 * @param paths - absolute, inside the context.
 * @param dockerfile - absolute; its own ignore file takes precedence.
 * @throws {CairnError} IGNORE_PATTERN_INVALID, CONTEXT_NOT_FOUND, USAGE for a path outside the context
 */
export function explainIgnored(
  context: string,
  paths: readonly string[],
  { dockerfile }: { readonly dockerfile: string },
): IgnoreExplanation {
  requireFolder(context);
  const candidates = [
    join(dirname(dockerfile), `${basename(dockerfile)}.dockerignore`),
    join(context, '.dockerignore'),
  ];
  const file = candidates.find((candidate) => exists(candidate)) ?? null;
  const rules = readIgnoreRules(candidates);
  const verdicts = paths.map((path): IgnoreVerdict => {
    const inside = pathInside(context, path);
    const known = { path: inside === '' ? '.' : inside, exists: exists(path) };
    if (rules === null || inside === '') return { ...known, isIncluded: true, isLookedInto: false };
    const { excluded, by } = rules.matcher.explain(inside);
    const at = by === null ? undefined : rules.lineOf(by);
    return {
      ...known,
      isIncluded: !excluded,
      isLookedInto: excluded && rules.matcher.mayReinclude(inside),
      ...(by !== null && at ? { by: { pattern: `${by.negated ? '!' : ''}${by.text}`, at } } : {}),
    };
  });
  return { file, verdicts };
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function requireFolder(context: string): void {
  if (lstatSync(context, { throwIfNoEntry: false }) && lstatSync(realpathSync(context)).isDirectory()) return;
  throw new CairnError('CONTEXT_NOT_FOUND', {
    message: `"${context}" is not a directory`,
    help: 'give the build context with --context',
  });
}

function pathInside(context: string, path: string): string {
  const inside = relative(resolve(context), resolve(path));
  if (inside !== '..' && !inside.startsWith('../')) return inside;
  throw new CairnError('USAGE', {
    message: `${path} is not in the build context ${context}`,
    help: 'name the context with --context; paths are relative to the current folder',
    exitCode: 2,
  });
}
