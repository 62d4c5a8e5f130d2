import { CairnError, hasCode } from '../../errors/index.ts';
import type { Descriptor, DiffId, Digest, Reference } from '../../oci/index.ts';
import type { Registries } from '../../registry/index.ts';
import type { LayerOffer, StepRecord, Store } from '../../store/contracts.ts';
import type { CacheDocument, CacheRecord } from './cache-document.ts';
import type { CacheSource, CacheTarget } from './cache-options.ts';
import type { CacheReader, CacheWriter } from './cache-place.ts';
import { type BuiltSteps, exportCache } from './export-cache.ts';
import { maxPackedBytes, unpackTable } from './layer-table.ts';
import { readSmallBlob } from './small-blob.ts';

export interface RemoteCacheOptions {
  readonly store: Store;
  readonly sources: readonly CacheSource[];
  readonly targets: readonly CacheTarget[];
  /** Opened when a registry is first needed; closed by the caller. */
  readonly registries: () => Promise<Registries>;
  /** Told what is worth knowing and stops nothing: a cache that cannot be read, a layer that is damaged. */
  readonly onNote: (message: string) => void;
  readonly signal: AbortSignal;
}

/** An image that was pushed. */
export interface PushedTo {
  readonly reference: Reference;
  /** What its tag names in the registry. */
  readonly descriptor: Descriptor;
}

/** Where a layer can be had. */
interface Holder {
  readonly place: CacheReader;
  readonly blob: Descriptor;
}

interface Table {
  readonly place: CacheReader;
  readonly descriptor: Descriptor;
}

/** What a build found and did, across its platforms. */
interface FoundRecord extends CacheRecord {
  readonly origin: string;
}

/** Errors that are about this machine or this run, whatever a cache is like. */
const ownErrors = ['ABORTED', 'STORE_FULL', 'STORE_NOT_ACCESSIBLE', 'STORE_PRUNED', 'STORE_INVALID'];

/**
 * Results of other machines (`--cache-from`), and the place for those of this one (`--cache-to`). Nothing is read before a step is not
 * in the store. Records are believed as far as images of the same registry would be; bytes of layers are verified, and a layer that
 * cannot be had or is not what its name says makes its records count as absent.
 */
export class RemoteCache {
  readonly #options: RemoteCacheOptions;
  #loaded: Promise<void> | null = null;
  readonly #records = new Map<Digest, FoundRecord[]>();
  readonly #holders = new Map<DiffId, Holder[]>();
  readonly #tables = new Map<DiffId, Table[]>();
  /** Records whose layers nobody holds: of use while nothing needs their bytes. */
  #trustsNames = true;
  readonly #steps = new Map<Digest, CacheRecord>();
  readonly #imageLayers = new Set<DiffId>();
  readonly #unkept = new Map<Digest, () => void>();

  constructor(options: RemoteCacheOptions) {
    this.#options = options;
  }

  /** The record of a step, when its layer can be had or nothing has needed its bytes; the layer is offered to the store. */
  async find(key: Digest): Promise<StepRecord | null> {
    if (this.#options.sources.length === 0) return null;
    this.#loaded ??= this.#load();
    await this.#loaded;
    const { store } = this.#options;
    for (const record of this.#records.get(key) ?? []) {
      const { layer } = record;
      const isHere = store.blobs.has(layer) && store.lease(layer);
      const isHeld = (this.#holders.get(layer)?.length ?? 0) > 0;
      const isNamed = this.#trustsNames && (this.#tables.get(layer)?.length ?? 0) > 0;
      if (!isHere && !isHeld && !isNamed) continue;
      if (!isHere) store.layers.offer(layer, this.#offerOf(layer));
      return { ...record, components: {}, place: '' };
    }
    return null;
  }

  /** Notes what a step gave. @param keep - of a step that was found here: writes its record into the store */
  stepDone(record: CacheRecord, keep?: () => void): void {
    const { key, layer, createdAt, durationMs } = record;
    this.#steps.set(key, { key, layer, createdAt, durationMs });
    if (keep === undefined) this.#unkept.delete(key);
    else this.#unkept.set(key, keep);
  }

  /** Notes the layers of a finished image, and keeps the records of layers that have come in. */
  imageDone(layers: readonly DiffId[]): void {
    for (const layer of layers) this.#imageLayers.add(layer);
    for (const [key, keep] of this.#unkept) {
      const layer = this.#steps.get(key)?.layer;
      if (layer !== undefined && this.#options.store.blobs.has(layer)) keep();
    }
    this.#unkept.clear();
  }

  /** True for the error of a layer that was relied on and is not to be had: the build is to be taken up again without it. */
  isLoss(error: unknown): boolean {
    return hasCode(error, 'CACHE_LAYER_UNAVAILABLE');
  }

  /**
   * Writes what the build has done to every target; nothing is sent that is there.
   * @param pushed - images that were pushed, for caches beside them
   * @throws {CairnError} CACHE_INVALID, OUTPUT_UNWRITABLE, and what registries answer, unless the target ignores errors
   */
  async export(pushed: readonly PushedTo[] = []): Promise<void> {
    const built: BuiltSteps = { records: [...this.#steps.values()], imageLayers: this.#imageLayers };
    const { store, signal } = this.#options;
    for (const target of this.#options.targets) {
      try {
        for (const { writer, mode, subject } of await this.#writersOf(target, pushed))
          await exportCache(built, { store, writer, mode, signal, ...(subject && { subject }) });
      } catch (error) {
        signal.throwIfAborted();
        if (!target.ignoreError || !(error instanceof CairnError)) throw error;
        this.#options.onNote(`the cache was not exported: ${error.message}`);
      }
    }
  }

  async #load(): Promise<void> {
    const { sources, signal } = this.#options;
    const loaded = await Promise.all(
      sources.map(async (source) => {
        try {
          const place = await this.#readerOf(source);
          const found = await place.read(signal);
          if (found.length === 0) this.#options.onNote(`there is no cache at ${place.name}`);
          return found.map(({ document }) => ({ place, document }));
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof CairnError)) throw error;
          this.#options.onNote(`a cache cannot be used: ${error.message}`);
          return [];
        }
      }),
    );
    for (const { place, document } of loaded.flat()) this.#add(place, document);
  }

  #add(place: CacheReader, { records, layers }: CacheDocument): void {
    for (const record of records) push(this.#records, record.key, { ...record, origin: place.name });
    for (const { diffId, blob, table } of layers) {
      if (blob !== undefined) push(this.#holders, diffId, { place, blob });
      if (table !== undefined) push(this.#tables, diffId, { place, descriptor: table });
    }
  }

  async #readerOf(source: CacheSource): Promise<CacheReader> {
    if (source.kind === 'local') {
      const { LayoutReader } = await import('./layout-place.ts');
      return new LayoutReader(source);
    }
    const { RegistryReader } = await import('./registry-place.ts');
    const registries = await this.#options.registries();
    return new RegistryReader(await registries.repository(source.reference), source.reference);
  }

  async #writersOf(
    target: CacheTarget,
    pushed: readonly PushedTo[],
  ): Promise<
    readonly { readonly writer: CacheWriter; readonly mode: 'min' | 'max'; readonly subject?: Descriptor }[]
  > {
    const { store } = this.#options;
    if (target.kind === 'local') {
      const { LayoutWriter } = await import('./layout-place.ts');
      return [{ writer: new LayoutWriter({ store, ...target }), mode: target.mode }];
    }
    const registries = await this.#options.registries();
    if (target.kind === 'registry') {
      const { RegistryWriter } = await import('./registry-place.ts');
      const repository = await registries.repository(target.reference);
      return [{ writer: new RegistryWriter({ store, repository, ...target }), mode: target.mode }];
    }
    if (pushed.length === 0)
      this.#options.onNote(
        'type=inline goes beside an image in a registry: without --push nothing was exported',
      );
    const { InlineWriter } = await import('./inline-writer.ts');
    return Promise.all(
      pushed.map(async ({ reference, descriptor }) => {
        const repository = await registries.repository(reference);
        const inputs = { store, repository, reference, compression: 'gzip' } as const;
        const writer = new InlineWriter(inputs, descriptor);
        return { writer, mode: 'min' as const, subject: writer.subject };
      }),
    );
  }

  #offerOf(layer: DiffId): LayerOffer {
    const { store, signal } = this.#options;
    const table = async () => {
      for (const { place, descriptor } of this.#tables.get(layer) ?? []) {
        try {
          const options = { name: place.name, maxBytes: maxPackedBytes };
          const toc = unpackTable(
            await readSmallBlob(place.blob(descriptor, signal), descriptor, options),
            layer,
          );
          if (toc !== null) return toc;
        } catch (error) {
          signal.throwIfAborted();
          if (!(error instanceof CairnError)) throw error;
        }
      }
      return null;
    };
    const holder = this.#holders.get(layer)?.[0];
    if (holder === undefined)
      return { table, fetch: () => notHeld(layer), lost: () => this.#lose(layer, null, notHeldError(layer)) };
    const { place, blob } = holder;
    const fetch = async function* () {
      yield* place.blob(blob, signal);
      if (place.location === null) return;
      // A push to the registry that it came from need not send it.
      const compression = compressionOf(blob.mediaType);
      store.forms.add(layer, {
        digest: blob.digest,
        size: blob.size,
        compression,
        sources: [place.location],
      });
    };
    return { table, fetch, lost: (error) => this.#lose(layer, holder, error) };
  }

  /** The layer is not to be had there: what relied on it is to be done again. */
  #lose(layer: DiffId, holder: Holder | null, error: unknown): unknown {
    if (!(error instanceof Error)) return error;
    if (error instanceof CairnError ? ownErrors.includes(error.code) : !('syscall' in error)) return error;
    this.#options.signal.throwIfAborted();
    if (holder === null) this.#trustsNames = false;
    else {
      // What its table says is as doubtful.
      this.#tables.set(
        layer,
        (this.#tables.get(layer) ?? []).filter(({ place }) => place !== holder.place),
      );
      this.#holders.set(
        layer,
        (this.#holders.get(layer) ?? []).filter((each) => each !== holder),
      );
      this.#options.onNote(`a layer of the cache ${holder.place.name} cannot be used: ${error.message}`);
    }
    return new CairnError('CACHE_LAYER_UNAVAILABLE', {
      message: `layer ${layer} of a cache is not to be had: ${error.message}`,
      help: 'build without that cache (--cache-from)',
      cause: error,
    });
  }
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function compressionOf(type: string): 'none' | 'gzip' | 'zstd' {
  if (type.endsWith('+gzip')) return 'gzip';
  return type.endsWith('+zstd') ? 'zstd' : 'none';
}

function notHeldError(layer: DiffId): CairnError {
  return new CairnError('BLOB_NOT_FOUND', { message: `the cache names layer ${layer} and does not hold it` });
}

// biome-ignore lint/correctness/useYield: there is nothing to give
async function* notHeld(layer: DiffId): AsyncGenerator<Uint8Array> {
  throw notHeldError(layer);
}
