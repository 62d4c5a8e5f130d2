import { type Digest, digestOf } from '../../oci/index.ts';
import type { ContentSource } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';
import type { SourceNode, SourceTree } from './source-tree.ts';

/** One file made from a heredoc, as something to copy from (row H07). */
export class TextTree implements SourceTree {
  readonly #name: ByteString;
  readonly #bytes: Uint8Array;

  constructor(name: ByteString, bytes: Uint8Array) {
    this.#name = name;
    this.#bytes = bytes;
  }

  get(path: ByteString): SourceNode | undefined {
    const owner = { uid: 0, gid: 0, mtime: 0 };
    if (path === '') return { type: 'dir', mode: 0o755, size: 0, ...owner };
    if (path !== this.#name) return undefined;
    return { type: 'file', mode: 0o644, size: this.#bytes.length, ...owner };
  }

  list(path: ByteString): readonly ByteString[] {
    return path === '' ? [this.#name] : [];
  }

  digest(): Digest {
    return digestOf(this.#bytes);
  }

  content(): ContentSource {
    return { kind: 'bytes', bytes: this.#bytes };
  }
}
