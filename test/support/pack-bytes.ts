import type { LayerEntry, Toc } from '../../src/store/contracts.ts';
import { packLayer } from '../../src/store/layer/index.ts';

/** Packs entries into memory. */
export function packBytes(entries: Iterable<LayerEntry>): { readonly toc: Toc; readonly tar: Buffer } {
  const chunks: Buffer[] = [];
  const toc = packLayer(entries, { write: (chunk) => chunks.push(Buffer.from(chunk)) });
  return { toc, tar: Buffer.concat(chunks) };
}
