import { join } from 'node:path';
import * as v from 'valibot';
import { type DiffId, hexOf, isDigest } from '../oci/index.ts';
import type { LayerForm, LayerForms } from './contracts.ts';
import { readIfExists, replaceFile } from './durable-file.ts';
import { withStoreErrors } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

const fileVersion = 1;
/** More are of no use, and the file stays small. */
const keptForms = 8;
const keptSources = 16;

const fileSchema = v.object({
  version: v.literal(fileVersion),
  forms: v.array(
    v.object({
      digest: v.custom<LayerForm['digest']>(isDigest),
      size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      compression: v.picklist(['none', 'gzip', 'zstd']),
      sources: v.array(v.string()),
    }),
  ),
});

/**
 * cache/forms/<diffID hex>: a small JSON file for each layer that was pulled or pushed. Promises: see `LayerForms`. Nothing is
 * synced; what does not parse counts as absent. Of two processes that add at once one may win: the other's fact is learnt again.
 */
export class FileLayerForms implements LayerForms {
  readonly #paths: StorePaths;
  readonly #session: WorkSession;

  constructor(paths: StorePaths, session: WorkSession) {
    this.#paths = paths;
    this.#session = session;
  }

  get(diffId: DiffId): readonly LayerForm[] {
    const bytes = readIfExists(this.#path(diffId));
    if (bytes === null) return [];
    try {
      return v.parse(fileSchema, JSON.parse(bytes.toString('utf8'))).forms;
    } catch {
      return [];
    }
  }

  add(diffId: DiffId, form: LayerForm): void {
    const known = this.get(diffId);
    const before = known.find(({ digest }) => digest === form.digest);
    const sources = [...new Set([...form.sources, ...(before?.sources ?? [])])].slice(0, keptSources);
    if (before !== undefined && before.sources.length === sources.length && known[0] === before) return;
    const others = known.filter(({ digest }) => digest !== form.digest);
    const forms = [{ ...form, sources }, ...others].slice(0, keptForms);
    withStoreErrors(this.#paths.root, () => {
      const temporary = this.#session.temporary();
      const text = JSON.stringify({ version: fileVersion, forms });
      replaceFile(this.#path(diffId), text, { temporary, mode: 0o644, durable: false });
    });
  }

  #path(diffId: DiffId): string {
    return join(this.#paths.forms, hexOf(diffId));
  }
}
