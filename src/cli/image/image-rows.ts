import { familiarRepository, parseReference } from '../../oci/index.ts';
import type { ImageRecord } from '../../store/contracts.ts';

/** One line of `images`. */
export interface ImageRow {
  readonly record: ImageRecord;
  /** `<none>` when the image has no name. */
  readonly repository: string;
  readonly tag: string;
  readonly digest: string;
}

const none = '<none>';

/** The lines of one image: one per tag, and with `digests` one per tag and digest of the same repository. */
export function imageRows(
  record: Pick<ImageRecord, 'tags' | 'repoDigests'> & { readonly record: ImageRecord },
  digests: boolean,
): readonly ImageRow[] {
  const byRepository = new Map<string, { tags: string[]; digests: string[] }>();
  const names = (repository: string): { tags: string[]; digests: string[] } => {
    const known = byRepository.get(repository) ?? { tags: [], digests: [] };
    byRepository.set(repository, known);
    return known;
  };
  for (const name of record.tags) {
    const reference = parseReference(name);
    names(familiarRepository(reference)).tags.push(reference.tag ?? 'latest');
  }
  for (const name of record.repoDigests) {
    const reference = parseReference(name);
    if (reference.digest) names(familiarRepository(reference)).digests.push(reference.digest);
  }
  const rows: ImageRow[] = [];
  for (const [repository, own] of byRepository)
    for (const tag of own.tags.length > 0 ? own.tags : [none])
      for (const digest of digests && own.digests.length > 0 ? own.digests : [none])
        rows.push({ record: record.record, repository, tag, digest });
  if (rows.length === 0) rows.push({ record: record.record, repository: none, tag: none, digest: none });
  return rows;
}
