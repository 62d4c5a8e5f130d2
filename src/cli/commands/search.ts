import { parseReference } from '../../oci/index.ts';
import type { Registries, SearchResult } from '../../registry/index.ts';
import { type Command, type Invocation, UsageError } from '../command.ts';
import { parseFilters } from '../filters.ts';
import type { FlagSpec } from '../flags/index.ts';
import { ellipsis, type RowFormat, renderRows } from '../format/index.ts';
import { noTruncate, tableFormat } from '../format-flag.ts';
import { withRegistries } from '../registry/with-registries.ts';

const filterFlag: FlagSpec = {
  name: 'filter',
  short: 'f',
  kind: 'list',
  label: 'filter',
  help: 'Show only repositories with name=value: is-official, is-automated, stars',
};

/** Runes of a description in the table. */
const descriptionWidth = 45;
const defaultLimit = 25;
const maxLimit = 100;

export const command: Command = {
  usage: '[OPTIONS] TERM',
  summary: 'Search Docker Hub, or with HOST/TERM another registry',
  args: { min: 1, max: 1 },
  flags: [
    filterFlag,
    tableFormat,
    { name: 'limit', kind: 'int', default: String(defaultLimit), help: 'Show at most so many' },
    noTruncate,
  ],
  run: (invocation) => withRegistries(invocation.host, (registries) => search(invocation, registries)),
};

async function search(
  { host, flags, args: [term = ''] }: Invocation,
  registries: Registries,
): Promise<number> {
  const filters = parseFilters(filterFlag, flags.list('filter'), ['is-official', 'is-automated', 'stars']);
  const limit = flags.int('limit') ?? defaultLimit;
  if (limit < 0 || limit > maxLimit)
    throw new UsageError(`limit ${limit} is outside the range of [1, ${maxLimit}]`);
  const { registry, words } = splitTerm(term);
  const { searchRegistry } = await import('../../registry/index.ts');
  const found = await searchRegistry(registries, registry, words, {
    limit: limit === 0 ? defaultLimit : limit,
    signal: host.signal,
  });
  const wanted = {
    isOfficial: oneOf('is-official', filters.get('is-official')),
    isAutomated: oneOf('is-automated', filters.get('is-automated')),
    stars: Math.max(0, ...(filters.get('stars') ?? []).map(starsOf)),
  };
  const rows = found.filter(
    (result) =>
      (wanted.isOfficial === undefined || result.isOfficial === wanted.isOfficial) &&
      (wanted.isAutomated === undefined || result.isAutomated === wanted.isAutomated) &&
      result.stars >= wanted.stars,
  );
  const format = flags.text('format') ?? '';
  host.stdout.write(renderRows(rows, format, searchFormat(flags.bool('no-trunc'), isJson(format))));
  return 0;
}

/** `HOST/TERM` asks that registry, as references name it; everything else Docker Hub. */
function splitTerm(term: string): { readonly registry: string; readonly words: string } {
  const slash = term.indexOf('/');
  const first = term.slice(0, Math.max(slash, 0));
  if (slash < 0 || !(/[.:]/.test(first) || first === 'localhost'))
    return { registry: 'docker.io', words: term };
  const { registry } = parseReference(`${first}/name`);
  return { registry, words: term.slice(slash + 1) };
}

function oneOf(name: string, values: readonly string[] | undefined): boolean | undefined {
  const value = values?.at(-1);
  if (value === undefined) return undefined;
  if (/^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw new UsageError(`invalid filter '${name}=${value}'`);
}

function starsOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`invalid filter 'stars=${text}'`);
}

/** In JSON Docker writes booleans as words, elsewhere as a mark. */
function isJson(format: string): boolean {
  return format === 'json' || /\{\{\s*json\s+\.\s*\}\}/.test(format);
}

function searchFormat(isFull: boolean, inJson: boolean): RowFormat<SearchResult> {
  const description = (text: string) => {
    const line = text.replaceAll('\n', ' ').replaceAll('\r', ' ');
    return isFull ? line : ellipsis(line, descriptionWidth);
  };
  const mark = (value: boolean) => (inJson ? String(value) : value ? '[OK]' : '');
  return {
    typeName: '*formatter.searchContext',
    table: '{{.Name}}\\t{{.Description}}\\t{{.StarCount}}\\t{{.IsOfficial}}',
    columns: [
      { name: 'Name', header: 'NAME', value: ({ name }) => name },
      { name: 'Description', header: 'DESCRIPTION', value: (row) => description(row.description) },
      { name: 'StarCount', header: 'STARS', value: ({ stars }) => String(stars) },
      { name: 'IsOfficial', header: 'OFFICIAL', value: ({ isOfficial }) => mark(isOfficial) },
      { name: 'IsAutomated', header: 'AUTOMATED', value: ({ isAutomated }) => mark(isAutomated) },
    ],
  };
}
