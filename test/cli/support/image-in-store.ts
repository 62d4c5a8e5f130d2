import type { ImageConfig } from '../../../src/oci/index.ts';
import { parseReference } from '../../../src/oci/index.ts';
import { type ImageRecord, type LayerEntry, openStore } from '../../../src/store/index.ts';
import { toBytes } from '../../../src/sys/index.ts';

/** A file entry with these bytes. */
export function fileEntry(path: string, text: string): LayerEntry {
  const bytes = Buffer.from(text);
  const source = { kind: 'bytes', bytes } as const;
  return {
    type: 'file',
    path: toBytes(path),
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 1,
    size: bytes.length,
    source,
  };
}

export interface ImageToMake {
  readonly tags: readonly string[];
  /** Text of the file `content` in its only layer. */
  readonly content: string;
  readonly created?: string;
  readonly config?: ImageConfig['config'];
}

/** Puts an image of one layer into a store. */
export async function makeImage(root: string, image: ImageToMake): Promise<ImageRecord> {
  const store = openStore({ root });
  try {
    const { diffId } = await store.layers.write([fileEntry('content', image.content)]);
    const created = image.created ?? '2026-11-24T15:00:00Z';
    const record = store.images.put({
      created,
      architecture: 'amd64',
      os: 'linux',
      config: image.config ?? {},
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [
        { created, created_by: 'COPY content / # buildkit', comment: 'buildkit.dockerfile.v0' },
        { created, created_by: 'CMD\t["sh"]', comment: 'buildkit.dockerfile.v0', empty_layer: true },
      ],
    });
    if (image.tags.length === 0) store.images.keepUntagged(record.manifestDigest);
    else store.images.tag(record.manifestDigest, image.tags.map(parseReference));
    return store.images.get(record.id);
  } finally {
    store.close();
  }
}
