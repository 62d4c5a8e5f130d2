import type { ImagePruneOptions } from '../store/index.ts';
import { booleanFilter, type Filters, parseFilters, parseMoment } from './filters.ts';
import type { FlagSpec } from './flags/index.ts';

/** Filters of `image prune` and `system prune`. @throws {FlagError} {CairnError} USAGE */
export function imagePruneFilters(spec: FlagSpec, values: readonly string[]): Filters {
  return parseFilters(spec, values, ['until', 'label', 'label!', 'dangling']);
}

/** Those filters as the store takes them. `dangling=false` is `--all`. */
export function pruneOptions(
  filters: Filters,
  { all, now }: { readonly all: boolean; readonly now: number },
): ImagePruneOptions {
  const until = filters.get('until')?.map((text) => parseMoment(text, now));
  return {
    all: all || booleanFilter(filters, 'dangling') === false,
    ...(until ? { untilMs: Math.min(...until) } : {}),
    labels: [
      ...(filters.get('label') ?? []).map((text) => labelFilter(text, false)),
      ...(filters.get('label!') ?? []).map((text) => labelFilter(text, true)),
    ],
  };
}

function labelFilter(text: string, isNegated: boolean): { name: string; value?: string; isNegated: boolean } {
  const equals = text.indexOf('=');
  return equals < 0
    ? { name: text, isNegated }
    : { name: text.slice(0, equals), value: text.slice(equals + 1), isNegated };
}
