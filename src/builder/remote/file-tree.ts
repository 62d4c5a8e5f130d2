import type { Digest } from '../../oci/index.ts';
import type { ContentSource } from '../../store/contracts.ts';
import { type ByteString, toBytes } from '../../sys/index.ts';
import type { SourceNode, SourceTree } from '../copy/source-tree.ts';
import type { FetchedFile } from './fetch-url.ts';

/** One downloaded file, as something to copy from: root's, 0600, with the server's time (row C32). */
export class FileTree implements SourceTree {
  readonly #name: ByteString;
  readonly #file: FetchedFile;

  constructor(name: string, file: FetchedFile) {
    this.#name = toBytes(name);
    this.#file = file;
  }

  get(path: ByteString): SourceNode | undefined {
    const { size, lastModified = 0 } = this.#file;
    const shared = { uid: 0, gid: 0, mtime: lastModified };
    if (path === '') return { type: 'dir', mode: 0o755, size: 0, ...shared };
    return path === this.#name ? { type: 'file', mode: 0o600, size, ...shared } : undefined;
  }

  list(path: ByteString): readonly ByteString[] {
    return path === '' ? [this.#name] : [];
  }

  digest(): Digest {
    return this.#file.digest;
  }

  content(): ContentSource {
    return { kind: 'path', path: toBytes(this.#file.path) };
  }
}
