import * as v from 'valibot';
import type { Registries } from '../registries.ts';
import { decodeList, type RegistryClient } from './registry-client.ts';
import { registryError } from './registry-error.ts';

/** A repository that a search has found. */
export interface SearchResult {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly isOfficial: boolean;
  readonly isAutomated: boolean;
}

export interface SearchOptions {
  readonly limit: number;
  readonly signal?: AbortSignal;
}

const maxAnswerBytes = 8 << 20;
const resultSchema = v.object({
  results: v.nullable(
    v.array(
      v.object({
        name: v.string(),
        description: v.optional(v.nullable(v.string())),
        star_count: v.optional(v.number()),
        is_official: v.optional(v.boolean()),
        is_automated: v.optional(v.boolean()),
      }),
    ),
  ),
});

/**
 * Searches a registry: with Docker Hub's `/v1/search` where the registry has it, else among the names in its catalogue, whose
 * repositories have no description and no stars.
 * @param registry - `docker.io` or a host
 * @throws {CairnError} REGISTRY_UNREACHABLE, REGISTRY_DENIED, REGISTRY_NOT_FOUND when it has neither
 */
export async function searchRegistry(
  registries: Registries,
  registry: string,
  term: string,
  options: SearchOptions,
): Promise<readonly SearchResult[]> {
  const doing = `cannot search ${registry}`;
  // Docker Hub answers searches under the name of its index, which speaks version 1 only.
  const isHub = registry === 'docker.io';
  const client = isHub ? await registries.hubIndex() : await registries.registry(registry);
  const found = await searchIndex(client, term, { doing, ...options });
  return found ?? searchCatalog(client, term, { doing, ...options });
}

async function searchIndex(
  client: RegistryClient,
  term: string,
  { doing, limit, signal }: SearchOptions & { readonly doing: string },
): Promise<readonly SearchResult[] | null> {
  const { base, send } = await client.greeting(doing, signal);
  const url = new URL('v1/search', base);
  url.searchParams.set('q', term);
  url.searchParams.set('n', String(limit));
  const response = await client.guard(doing, signal, () =>
    send({ method: 'GET', url, headers: { accept: 'application/json' }, ...(signal && { signal }) }),
  );
  if (response.status === 404 || response.status === 401 || response.status === 405) {
    await response.body.dump();
    return null;
  }
  if (response.status !== 200) throw await registryError(response, doing);
  const text = (await response.body.bytes(maxAnswerBytes)).toString('utf8');
  const results = decodeList(resultSchema, text, client.host).results ?? [];
  return results.slice(0, limit).map((result) => ({
    name: result.name,
    description: result.description ?? '',
    stars: result.star_count ?? 0,
    isOfficial: result.is_official ?? false,
    isAutomated: result.is_automated ?? false,
  }));
}

async function searchCatalog(
  client: RegistryClient,
  term: string,
  { doing, limit, signal }: SearchOptions & { readonly doing: string },
): Promise<readonly SearchResult[]> {
  const wanted = term.toLowerCase();
  const results: SearchResult[] = [];
  for await (const name of client.catalog(doing, signal)) {
    if (!name.includes(wanted)) continue;
    results.push({
      name: `${client.host}/${name}`,
      description: '',
      stars: 0,
      isOfficial: false,
      isAutomated: false,
    });
    if (results.length === limit) break;
  }
  return results;
}
