import { type DiffId, digestOf, encodeImageConfig, type ImageConfig, type ImageId } from '../../oci/index.ts';
import type { ImageRecord, StepCache, Store } from '../../store/contracts.ts';
import { toText } from '../../sys/index.ts';
import { solveBuild } from '../build.ts';
import type { EntryDifference } from '../verify/compare-layers.ts';
import { describeDifferences } from '../verify/describe-differences.ts';
import type { LayerFile } from '../verify/laboratory.ts';
import { type BuildAgainOptions, buildAgain } from './build-again.ts';
import type { BuildRecord, RecordedFile } from './build-record.ts';

/** A layer that came out differently. */
export interface DifferentLayer {
  /** From 0, base first. */
  readonly index: number;
  /** What made it, by the image's history. */
  readonly createdBy: string;
  readonly before: DiffId | null;
  readonly after: DiffId | null;
  /** Empty when one of the two is missing. */
  readonly differences: readonly EntryDifference[];
}

/** A file of the context that is not as it was. */
export interface DifferentInput {
  readonly context: string;
  readonly path: string;
  /** `content`, `mode`, `type`, `link target`, `added`, `missing`. */
  readonly attribute: string;
}

/** What came of a build from an image's record. */
export interface ProofReport {
  readonly isSame: boolean;
  readonly imageId: ImageId;
  /** The image that the record gives now. */
  readonly rebuiltId: ImageId;
  readonly layers: readonly DifferentLayer[];
  /** Names of the config's fields that differ, beside the list of layers: `config.Env`. */
  readonly config: readonly string[];
  readonly inputs: readonly DifferentInput[];
}

/**
 * Builds an image once more from its record, without the cache, and compares. The store keeps its images, names and cached results as they are.
 * @throws {CairnError} VERIFY_IMPOSSIBLE, RECORD_INVALID, and what a build throws
 */
export async function proveImage(
  image: ImageRecord,
  record: BuildRecord,
  again: BuildAgainOptions,
): Promise<ProofReport> {
  const { options, hooks } = buildAgain(record, { ...again, store: withoutCache(again.store) });
  return solveBuild({ ...options, noCache: true }, hooks, async ({ images, records }) => {
    const { config } = images[0] as { readonly config: ImageConfig };
    const rebuiltId = digestOf(encodeImageConfig(config)) as ImageId;
    const isSame = rebuiltId === image.id;
    return {
      isSame,
      imageId: image.id,
      rebuiltId,
      layers: isSame ? [] : differentLayers(again.store, image.config, config),
      config: isSame ? [] : differentFields(image.config, config),
      inputs: isSame ? [] : differentInputs(record.files, records[0]?.files ?? []),
    };
  });
}

/** The store for a build that must neither use nor change what is known about steps. */
function withoutCache(store: Store): Store {
  const steps: StepCache = {
    get: () => null,
    put: () => undefined,
    inputs: () => null,
    recent: () => [],
  };
  return { ...store, steps };
}

function differentLayers(store: Store, before: ImageConfig, after: ImageConfig): readonly DifferentLayer[] {
  const [old, fresh] = [before.rootfs.diff_ids, after.rootfs.diff_ids];
  const makers = (before.history ?? []).filter((entry) => !entry.empty_layer);
  const layers: DifferentLayer[] = [];
  for (let index = 0; index < Math.max(old.length, fresh.length); index++) {
    const [a, b] = [old[index] ?? null, fresh[index] ?? null];
    if (a === b) continue;
    const differences = a === null || b === null ? [] : describe(store, a, b);
    layers.push({ index, createdBy: makers[index]?.created_by ?? '', before: a, after: b, differences });
  }
  return layers;
}

function describe(store: Store, before: DiffId, after: DiffId): readonly EntryDifference[] {
  const hostnames = ['', ''] as const;
  return describeDifferences(layerFile(store, before), layerFile(store, after), { hostnames, hostPaths: [] });
}

function layerFile(store: Store, layer: DiffId): LayerFile {
  return { toc: store.layers.toc(layer), tar: store.blobs.path(layer) };
}

function differentFields(before: ImageConfig, after: ImageConfig): readonly string[] {
  const { rootfs: _, config: oldRun = {}, ...old } = before;
  const { rootfs: __, config: freshRun = {}, ...fresh } = after;
  const top = differentKeys(old, fresh);
  return [...top, ...differentKeys(oldRun, freshRun).map((name) => `config.${name}`)];
}

function differentKeys(before: object, after: object): readonly string[] {
  const [old, fresh] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  const names = [...new Set([...old.keys(), ...fresh.keys()])].sort();
  return names.filter((name) => JSON.stringify(old.get(name)) !== JSON.stringify(fresh.get(name)));
}

/** What of the context is not as recorded, in the order of the record, then what is new. */
function differentInputs(
  before: readonly RecordedFile[],
  after: readonly RecordedFile[],
): readonly DifferentInput[] {
  const keyOf = ({ context, path }: RecordedFile): string => `${context}\0${path}`;
  const old = new Set(before.map(keyOf));
  const fresh = new Map(after.map((file) => [keyOf(file), file]));
  const input = ({ context, path }: RecordedFile, attribute: string): DifferentInput => ({
    context,
    path: toText(path),
    attribute,
  });
  const changed = before.flatMap((file) => {
    const attribute = differentAttribute(file, fresh.get(keyOf(file)));
    return attribute === null ? [] : [input(file, attribute)];
  });
  const added = after.filter((file) => !old.has(keyOf(file))).map((file) => input(file, 'added'));
  return [...changed, ...added];
}

function differentAttribute(before: RecordedFile, after: RecordedFile | undefined): string | null {
  if (after === undefined) return 'missing';
  if (before.type !== after.type) return 'type';
  if (before.digest !== after.digest) return 'content';
  if (before.link !== after.link) return 'link target';
  return before.mode === after.mode ? null : 'mode';
}
