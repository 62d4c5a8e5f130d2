import { CairnError, hasCode } from '../../errors/index.ts';
import type { Descriptor, DiffId, Digest } from '../../oci/index.ts';
import type { LayerForm, Store } from '../../store/contracts.ts';
import type { RepositoryClient } from '../client/repository-client.ts';
import { uploadBlob } from '../client/upload-blob.ts';
import type { BlobStatus } from '../transfer-event.ts';
import type { PushOptions } from './push-image.ts';

export interface BlobPusherInputs {
  readonly store: Store;
  readonly repository: RepositoryClient;
  /** Begins error messages. */
  readonly doing: string;
  readonly options: PushOptions;
}

/** Gets blobs into one repository in the cheapest way. */
export class BlobPusher {
  readonly #inputs: BlobPusherInputs;

  constructor(inputs: BlobPusherInputs) {
    this.#inputs = inputs;
  }

  /**
   * The form in which a layer goes to the registry: one that is here compressed, or one that the registry can be told to mount, else
   * the layer is compressed now, and kept so.
   */
  async formOf(diffId: DiffId): Promise<LayerForm> {
    const { store, options } = this.#inputs;
    const wanted = options.compression;
    const known = store.forms
      .get(diffId)
      .filter(({ compression }) => (wanted === undefined ? compression !== 'none' : compression === wanted))
      // What every engine reads comes first.
      .sort((a, b) => Number(a.compression === 'zstd') - Number(b.compression === 'zstd'));
    const here = known.find(({ digest }) => store.blobs.has(digest) && store.lease(digest));
    if (here !== undefined) return here;
    for (const form of known) if (await this.#isThere(form)) return form;
    return this.#compress(diffId);
  }

  /** Makes the repository have a blob. @param diffId - of a layer, by which it is shown; null for a config */
  async push(descriptor: Descriptor, diffId: DiffId | null, signal: AbortSignal): Promise<void> {
    const { store, repository, doing } = this.#inputs;
    const { digest } = descriptor;
    const say = (status: BlobStatus, current = 0, from?: string) =>
      this.#say(diffId, descriptor, { status, current, ...(from === undefined ? {} : { from }) });
    say('waiting');
    if ((await repository.blobSize(digest, doing, signal)) !== null) say('exists');
    else {
      const mounted = await this.#mount(diffId, digest, signal);
      if (mounted.from !== undefined) say('mounted', descriptor.size, mounted.from);
      else {
        if (!store.blobs.has(digest)) throw gone(descriptor, doing);
        await this.#upload(descriptor, mounted.upload, { signal, tell: (bytes) => say('uploading', bytes) });
        say('complete', descriptor.size);
      }
    }
    if (diffId === null) return;
    const form = store.forms.get(diffId).find((each) => each.digest === digest);
    if (form !== undefined) store.forms.add(diffId, { ...form, sources: [repository.location] });
  }

  async #upload(
    descriptor: Descriptor,
    started: Awaited<ReturnType<RepositoryClient['startUpload']>>,
    { signal, tell }: { readonly signal: AbortSignal; readonly tell: (bytes: number) => void },
  ): Promise<void> {
    const { store, repository, doing } = this.#inputs;
    const upload = started ?? (await repository.startUpload(null, doing, signal));
    if (upload === null) return;
    const open = (offset: number) => store.blobs.readFrom(descriptor.digest, offset);
    try {
      await uploadBlob(repository, descriptor, open, upload, { doing, signal, onProgress: tell });
    } catch (error) {
      signal.throwIfAborted();
      // An answer that was lost on the way: the blob may be there all the same.
      if (!(error instanceof CairnError) || hasCode(error, 'REGISTRY_DENIED')) throw error;
      const size = await repository.blobSize(descriptor.digest, doing, signal).catch(() => null);
      if (size !== descriptor.size) throw error;
    }
  }

  /** Asks the registry to take the blob from a repository of its own that is known to have it. */
  async #mount(
    diffId: DiffId | null,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<{
    readonly from?: string;
    readonly upload: Awaited<ReturnType<RepositoryClient['startUpload']>>;
  }> {
    const { store, repository, doing } = this.#inputs;
    if (diffId === null) return { upload: null };
    const form = store.forms.get(diffId).find((each) => each.digest === digest);
    const [from] = this.#neighbours(form?.sources ?? []);
    if (from === undefined) return { upload: null };
    try {
      const upload = await repository.startUpload({ digest, from }, doing, signal);
      return upload === null ? { from, upload } : { upload };
    } catch (error) {
      signal.throwIfAborted();
      // A repository that may not be read is none to mount from; what else is wrong shows at the upload.
      if (!(error instanceof CairnError)) throw error;
      return { upload: null };
    }
  }

  /** Repositories of the same registry, without this one. */
  #neighbours(sources: readonly string[]): readonly string[] {
    const { registry, name } = this.#inputs.repository;
    const prefix = `${registry.host}/`;
    return sources
      .filter((source) => source.startsWith(prefix))
      .map((source) => source.slice(prefix.length))
      .filter((source) => source !== name);
  }

  /** True when the blob is in the repository, or in a neighbour to mount it from. */
  async #isThere({ digest, sources }: LayerForm): Promise<boolean> {
    const { repository, doing, options } = this.#inputs;
    if ((await repository.blobSize(digest, doing, options.signal)) !== null) return true;
    const [from] = this.#neighbours(sources);
    if (from === undefined) return false;
    const upload = await repository
      .startUpload({ digest, from }, doing, options.signal)
      .catch((error: unknown) => {
        if (error instanceof CairnError) return undefined;
        throw error;
      });
    return upload === null;
  }

  async #compress(diffId: DiffId): Promise<LayerForm> {
    const { store, options } = this.#inputs;
    const compression = options.compression ?? 'gzip';
    const total = store.blobs.size(diffId);
    const writer = store.blobs.create();
    let done = 0;
    try {
      for await (const chunk of store.layers.compressed(diffId, compression)) {
        options.signal?.throwIfAborted();
        writer.write(chunk);
        done += chunk.length;
        options.onEvent?.({ type: 'blob', digest: diffId, status: 'compressing', current: done, total });
      }
      const { digest, size } = writer.commit();
      const form: LayerForm = { digest, size, compression, sources: [] };
      store.forms.add(diffId, form);
      return form;
    } finally {
      writer.abort();
    }
  }

  #say(
    diffId: DiffId | null,
    { digest, size }: Descriptor,
    state: { readonly status: BlobStatus; readonly current: number; readonly from?: string },
  ): void {
    this.#inputs.options.onEvent?.({
      type: 'blob',
      digest: diffId ?? digest,
      total: size,
      isLayer: diffId !== null,
      ...state,
    });
  }
}

function gone({ digest }: Descriptor, doing: string): CairnError {
  return new CairnError('BLOB_NOT_FOUND', {
    message: `${doing}: blob ${digest} is neither in the store nor in the registry any more`,
    help: 'run the command again',
  });
}
