import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import {
  type Descriptor,
  type Digest,
  decodeIndex,
  digestOf,
  encodeIndex,
  hexOf,
  type Index,
  mediaType,
} from '../../oci/index.ts';
import type { FetchedManifest } from '../client/repository-client.ts';
import type { ContentSink, ContentSource } from './content.ts';

const refNameKey = 'org.opencontainers.image.ref.name';
const maxDocumentBytes = 32 << 20;

/** An image in an OCI image layout: a folder, and a name in its index.json. */
export interface LayoutPlace {
  /** Absolute. */
  readonly folder: string;
  /** Absent for the only one there. */
  readonly name?: string;
}

/** The descriptor that a name in a layout has. @throws {CairnError} IMAGE_NOT_FOUND, INPUT_UNREADABLE, DOCUMENT_INVALID */
function findInLayout({ folder, name }: LayoutPlace): Descriptor {
  const { manifests } = readIndex(folder) ?? missing(folder);
  const found =
    name === undefined
      ? manifests
      : manifests.filter(({ annotations }) => annotations?.[refNameKey] === name);
  const [only, ...others] = found;
  if (only !== undefined && others.length === 0) return only;
  const names = manifests.flatMap(({ annotations }) => annotations?.[refNameKey] ?? []);
  throw new CairnError('IMAGE_NOT_FOUND', {
    message: name === undefined ? `${folder} has ${found.length} images` : `${folder} has no image "${name}"`,
    help: names.length === 0 ? 'nothing in it has a name' : `its names are ${names.slice(0, 10).join(', ')}`,
  });
}

/** An image of a layout to copy from. */
export function layoutSource(place: LayoutPlace): ContentSource {
  const path = (digest: Digest) => join(place.folder, 'blobs/sha256', hexOf(digest));
  const read = (digest: Digest, type: string): FetchedManifest => {
    if ((fs.statSync(path(digest), { throwIfNoEntry: false })?.size ?? 0) > maxDocumentBytes)
      throw damaged(place, digest);
    const bytes = fs.existsSync(path(digest)) ? fs.readFileSync(path(digest)) : null;
    if (bytes === null || digestOf(bytes) !== digest) throw damaged(place, digest);
    return { mediaType: type, digest, bytes };
  };
  return {
    top: async () => {
      const { digest, mediaType: type } = findInLayout(place);
      return read(digest, type);
    },
    manifest: async (digest) => {
      const { bytes } = read(digest, '');
      const { mediaType: type } = JSON.parse(bytes.toString('utf8')) as Partial<Descriptor>;
      return { mediaType: type ?? mediaType.ociManifest, digest, bytes };
    },
    blob: ({ digest }) => {
      if (!fs.existsSync(path(digest))) throw damaged(place, digest);
      return fs.createReadStream(path(digest), { highWaterMark: 1 << 20 });
    },
  };
}

/** A name in a layout to copy to; the layout is made when there is none. */
export function layoutSink({ folder, name }: LayoutPlace): ContentSink {
  const blobs = join(folder, 'blobs/sha256');
  const path = (digest: Digest) => join(blobs, hexOf(digest));
  const replace = (target: string, content: string | Uint8Array) => {
    const temporary = `${target}.${process.pid}.tmp`;
    fs.writeFileSync(temporary, content);
    fs.renameSync(temporary, target);
  };
  const prepare = () => {
    fs.mkdirSync(blobs, { recursive: true });
    if (!fs.existsSync(join(folder, 'oci-layout')))
      replace(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  };
  return {
    hasBlob: async ({ digest, size }) => fs.statSync(path(digest), { throwIfNoEntry: false })?.size === size,
    async putBlob({ digest }, open) {
      prepare();
      const temporary = `${path(digest)}.${process.pid}.tmp`;
      const file = await fs.promises.open(temporary, 'w');
      try {
        // What does not verify throws before the file gets its name.
        for await (const chunk of open()) await file.write(chunk);
        await file.sync();
        await file.close();
        fs.renameSync(temporary, path(digest));
      } catch (error) {
        await file.close().catch(() => undefined);
        fs.rmSync(temporary, { force: true });
        throw error;
      }
    },
    async putManifest({ digest, bytes, mediaType: type }, isTop) {
      prepare();
      replace(path(digest), bytes);
      if (!isTop) return;
      const index = readIndex(folder) ?? { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: [] };
      const entry: Descriptor = {
        mediaType: type,
        digest,
        size: bytes.length,
        ...(name === undefined ? {} : { annotations: { [refNameKey]: name } }),
      };
      const others = index.manifests.filter((each) =>
        name === undefined ? each.digest !== digest : each.annotations?.[refNameKey] !== name,
      );
      replace(join(folder, 'index.json'), encodeIndex({ ...index, manifests: [...others, entry] }));
    },
  };
}

function readIndex(folder: string): Index | null {
  const path = join(folder, 'index.json');
  if (!fs.existsSync(path)) return null;
  return decodeIndex(fs.readFileSync(path, 'utf8'), path);
}

function missing(folder: string): never {
  throw new CairnError('INPUT_UNREADABLE', {
    message: `${folder} is not an OCI image layout: it has no index.json`,
    help: 'an archive (a file) is oci-archive:FILE or docker-archive:FILE',
  });
}

function damaged({ folder }: LayoutPlace, digest: Digest): CairnError {
  return new CairnError('DIGEST_MISMATCH', { message: `${folder} lacks blob ${digest}, or has it damaged` });
}
