import { closeSync, constants, openSync, readSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ContentSource } from '../../store/contracts.ts';
import { fsPath } from '../../sys/index.ts';

const chunkBytes = 1 << 18;
/** The event loop gets a turn after this many bytes. */
const sliceBytes = 8 << 20;

/** The bytes of a file's content in chunks. A file that is shorter than `sizeBytes` just ends. */
export async function* readContent(source: ContentSource, sizeBytes: number): AsyncGenerator<Uint8Array> {
  if (source.kind === 'bytes') {
    yield source.bytes;
    return;
  }
  const path = source.kind === 'path' ? fsPath(source.path) : source.path;
  const start = source.kind === 'slice' ? source.offset : 0;
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let done = 0; done < sizeBytes; ) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, sizeBytes - done));
      const n = readSync(fd, buffer, 0, buffer.length, start + done);
      if (n === 0) return;
      yield buffer.subarray(0, n);
      if (Math.floor(done / sliceBytes) !== Math.floor((done + n) / sliceBytes)) await nextTurn();
      done += n;
    }
  } finally {
    closeSync(fd);
  }
}
