import { closeSync, constants, lstatSync, openSync, readSync } from 'node:fs';
import type { LayerEntry, LayerStore, Tree } from '../../store/contracts.ts';
import { type ByteString, fsPath } from '../../sys/index.ts';
import { readAccountFile } from '../user.ts';
import type { LayerFile, LayerView } from './contracts.ts';

export interface LayerViewOptions {
  readonly epoch: number;
  readonly parent: Tree;
  readonly layers: LayerStore;
}

/** The entries of a command's layer, as rules look at them. Files are read where they lie, in the overlay's upper directory. */
export function layerView(entries: readonly LayerEntry[], options: LayerViewOptions): LayerView {
  const { epoch, parent, layers } = options;
  const byPath = new Map<ByteString, LayerEntry>();
  for (const entry of entries) byPath.set(entry.path, entry);
  return {
    epoch,
    parent,
    entry: (path) => byPath.get(path),
    read: (file, limit) => (file.size > limit ? null : head(file, file.size)),
    head,
    parentText: (path) => readAccountFile(layers, parent, path),
    writtenAt: (file) =>
      file.source.kind === 'path'
        ? Math.floor(lstatSync(fsPath(file.source.path)).mtimeMs / 1000)
        : file.mtime,
  };
}

function head(file: LayerFile, length: number): Buffer {
  const { source, size } = file;
  if (source.kind === 'bytes') return Buffer.from(source.bytes.subarray(0, length));
  const buffer = Buffer.alloc(Math.min(length, size));
  const path = source.kind === 'path' ? fsPath(source.path) : source.path;
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const start = source.kind === 'slice' ? source.offset : 0;
    return buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, start));
  } finally {
    closeSync(fd);
  }
}
