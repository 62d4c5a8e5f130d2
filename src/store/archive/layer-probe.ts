import { CairnError } from '../../errors/index.ts';
import type { DiffId } from '../../oci/index.ts';
import { TocBuilder } from '../layer/toc-builder.ts';
import type { TocFiles } from '../toc-file.ts';

/** A table of contents in a temporary file, to be put in place with its layer. */
export interface StagedToc {
  readonly diffId: DiffId;
  readonly path: string;
}

const headBytes = 512;

/** Makes the table of contents of a file that turns out to be a tar while it is spooled: layers are read only once. */
export class LayerProbe {
  readonly #tocs: TocFiles;
  #head: Buffer | null = Buffer.alloc(0);
  #builder: TocBuilder | null = null;
  #error: CairnError | null = null;

  /** @param options - `isKnownTar` when something refers to the file as a layer, whatever it looks like. */
  constructor(tocs: TocFiles, options: { readonly isKnownTar?: boolean } = {}) {
    this.#tocs = tocs;
    if (!options.isKnownTar) return;
    this.#head = null;
    this.#builder = new TocBuilder();
  }

  write(chunk: Uint8Array): void {
    if (this.#head === null) {
      this.#feed(chunk);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    if (this.#head.length < headBytes) return;
    const head = this.#head;
    this.#head = null;
    if (!looksLikeTar(head)) return;
    this.#builder = new TocBuilder();
    this.#feed(head);
  }

  /** @returns null for something else than a tar */
  finish(): StagedToc | CairnError | null {
    if (this.#error !== null) return this.#error;
    const builder = this.#builder;
    return builder === null ? null : caught(() => this.#tocs.stage(builder.finish()));
  }

  #feed(chunk: Uint8Array): void {
    const builder = this.#builder;
    if (builder === null) return;
    const error = caught(() => {
      builder.write(chunk);
      return null;
    });
    if (error === null) return;
    this.#error = error;
    this.#builder = null;
  }
}

/** Whether it matters is known later: the file may be no layer at all. */
function caught<T>(work: () => T): T | CairnError {
  try {
    return work();
  } catch (error) {
    if (error instanceof CairnError && error.code === 'ARCHIVE_INVALID') return error;
    throw error;
  }
}

/** The magic of ustar, PAX and GNU headers. Tars without it are recognised by what refers to them. */
function looksLikeTar(head: Buffer): boolean {
  return head.toString('latin1', 257, 262) === 'ustar';
}
