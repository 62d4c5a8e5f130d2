import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { posix } from 'node:path';
import type { LayerEntry } from '../../store/contracts.ts';
import { type ByteString, fsPath } from '../../sys/index.ts';
import type { LayerFile, LayerView, NormalizedPath, NormalizeRule, Rewrite } from './contracts.ts';
import { isDroppable, withoutEntries } from './drop-entries.ts';
import type { LayerViewOptions } from './layer-view.ts';
import { layerView } from './layer-view.ts';
import { compilePatterns } from './path-pattern.ts';
import { rules as allRules } from './rules/index.ts';

export interface NormalizeOptions extends LayerViewOptions {
  /** Home folders of accounts, below the root. */
  readonly homes: readonly ByteString[];
  /** Instead of all. */
  readonly rules?: readonly NormalizeRule[];
}

export interface Normalized {
  readonly entries: LayerEntry[];
  /** What was done, in the order of the entries. */
  readonly applied: readonly NormalizedPath[];
}

/**
 * Takes out of a command's changes what known tools write for themselves with the time of day or other noise in it. The
 * first rule that names a path decides. Files in the overlay's upper directory may be patched in place: it is nobody's any more.
 * @param entries - of `scanUpper` before parents are added, sorted; so is the result.
 */
export function normalizeEntries(entries: readonly LayerEntry[], options: NormalizeOptions): Normalized {
  const rules = (options.rules ?? allRules).map((rule) => ({
    rule,
    pattern: compilePatterns(rule.paths, options.homes),
  }));
  const any = compilePatterns(
    rules.flatMap(({ rule }) => rule.paths),
    options.homes,
  );
  const view = layerView(entries, options);
  const applied: NormalizedPath[] = [];
  const dropped = new Set<ByteString>();
  const rewritten = entries.map((entry) => {
    if (!any.test(entry.path)) return entry;
    for (const { rule, pattern } of rules) {
      if (!pattern.test(entry.path)) continue;
      const result = applyRule(rule, entry, view);
      if (result === null) continue;
      if (result === 'dropped') dropped.add(entry.path);
      applied.push({ rule: rule.name, path: entry.path, action: rule.action.kind });
      return result === 'dropped' ? entry : result;
    }
    return entry;
  });
  if (dropped.size === 0) return { entries: rewritten, applied };
  const needed = rulesInUse(rewritten, dropped, applied);
  for (const { rule, path } of applied) if (needed.has(rule)) dropped.delete(path);
  return {
    entries: withoutEntries(rewritten, dropped),
    applied: applied.filter(({ rule, action }) => action !== 'drop' || !needed.has(rule)),
  };
}

/** Rules whose files are not only a cache here: links that stay lead to what they would drop (uv's `link-mode=symlink`). */
function rulesInUse(
  entries: readonly LayerEntry[],
  dropped: ReadonlySet<ByteString>,
  applied: readonly NormalizedPath[],
): ReadonlySet<string> {
  const targets = new Set(
    entries.flatMap((entry) =>
      entry.type === 'symlink' && !dropped.has(entry.path) ? [targetOf(entry.path, entry.link)] : [],
    ),
  );
  return new Set(applied.filter(({ path }) => targets.has(path)).map(({ rule }) => rule));
}

/** Where a link leads, as far as its text says. */
function targetOf(path: ByteString, link: ByteString): ByteString {
  return posix.resolve('/', posix.dirname(path), link).slice(1) as ByteString;
}

/** @returns null when the rule has nothing to do here */
function applyRule(rule: NormalizeRule, entry: LayerEntry, view: LayerView): LayerEntry | 'dropped' | null {
  const { action } = rule;
  if (action.kind === 'drop') return isDroppable(entry, view.parent) ? 'dropped' : null;
  if (entry.type !== 'file') return null;
  const rewrite = action.rewrite(entry, view);
  return rewrite === null ? null : withBytes(entry, rewrite);
}

function withBytes(file: LayerFile, rewrite: Rewrite): LayerEntry {
  if (rewrite.kind === 'content') {
    const { bytes } = rewrite;
    return { ...file, size: bytes.length, source: { kind: 'bytes', bytes } };
  }
  if (file.source.kind !== 'path') throw new Error('only a file of the upper directory can be patched');
  const fd = openSync(fsPath(file.source.path), constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    writeSync(fd, rewrite.bytes, 0, rewrite.bytes.length, rewrite.offset);
  } finally {
    closeSync(fd);
  }
  return file;
}
