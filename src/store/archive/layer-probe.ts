import { createHash, type Hash } from 'node:crypto';
import * as fs from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { type DiffId, type Digest, digestOf, fromHex } from '../../oci/index.ts';
import { TocBuilder } from '../layer/toc-builder.ts';
import type { TocFiles } from '../toc-file.ts';

/** A table of contents in a temporary file, to be put in place with its layer. */
export interface StagedToc {
  readonly diffId: DiffId;
  readonly path: string;
}

const headBytes = 512;

/** What a probe has learnt about a whole file. */
export interface ProbedFile {
  readonly digest: Digest;
  /** For a tar: its table of contents, or what is wrong with it; null for something else. */
  readonly layer: StagedToc | CairnError | null;
}

/**
 * Hashes a file while it is spooled, and makes its table of contents in the same pass when it turns out to be a tar:
 * layers are read only once.
 */
export class LayerProbe {
  readonly #tocs: TocFiles;
  #head: Buffer | null = Buffer.alloc(0);
  #builder: TocBuilder | null = null;
  /** The hash of a file that is no tar; a builder hashes its tar itself. */
  #hash: Hash | null = null;
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
    if (this.#head.length >= headBytes) this.#decide(this.#head);
  }

  /** @param path - the spooled file: read once more when it began as a tar and was none. */
  finish(path: string): ProbedFile {
    if (this.#head !== null) return { digest: digestOf(this.#head), layer: null };
    if (this.#hash !== null) return { digest: fromHex(this.#hash.digest('hex')), layer: null };
    const builder = this.#builder;
    const layer = builder === null ? this.#error : caught(() => this.#tocs.stage(builder.finish()));
    return { digest: layer !== null && 'diffId' in layer ? layer.diffId : digestOfFile(path), layer };
  }

  #decide(head: Buffer): void {
    this.#head = null;
    if (looksLikeTar(head)) this.#builder = new TocBuilder();
    else this.#hash = createHash('sha256');
    this.#feed(head);
  }

  #feed(chunk: Uint8Array): void {
    this.#hash?.update(chunk);
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

function digestOfFile(path: string): Digest {
  const hash = createHash('sha256');
  const fd = fs.openSync(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(1 << 20);
    for (let length = fs.readSync(fd, chunk); length > 0; length = fs.readSync(fd, chunk))
      hash.update(chunk.subarray(0, length));
  } finally {
    fs.closeSync(fd);
  }
  return fromHex(hash.digest('hex'));
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
