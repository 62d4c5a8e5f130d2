import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { rawTar } from '../../support/raw-tar.ts';
import { digestOf, type FakeRegistry } from './fake-registry.ts';

/** Media types of the two kinds. */
export const kinds = {
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    index: 'application/vnd.oci.image.index.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar',
    gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
    zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  },
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    index: 'application/vnd.docker.distribution.manifest.list.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar',
    gzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
    zstd: 'application/vnd.docker.image.rootfs.diff.tar.zstd',
  },
} as const;

/** A layer of an image in a registry. */
export interface RemoteLayer {
  readonly tar: Buffer;
  /** As the registry has it. */
  readonly bytes: Buffer;
  readonly type: string;
}

/** A layer with one file of that many random bytes, compressed with gzip. */
export function gzipLayer(name: string, sizeBytes: number, kind: keyof typeof kinds = 'oci'): RemoteLayer {
  const tar = rawTar([{ name, body: randomBytes(sizeBytes) }]);
  return { tar, bytes: gzipSync(tar), type: kinds[kind].gzip };
}

export interface RemoteImageOptions {
  readonly layers: readonly RemoteLayer[];
  readonly kind?: keyof typeof kinds;
  readonly tag?: string | null;
  readonly architecture?: string;
  /** Changes the manifest before it is stored. */
  readonly change?: (manifest: Record<string, unknown>) => void;
}

export interface RemoteImage {
  readonly digest: string;
  readonly size: number;
  readonly configDigest: string;
  readonly layerDigests: readonly string[];
}

/** Puts an image into a registry. */
export function addImage(
  registry: FakeRegistry,
  repository: string,
  options: RemoteImageOptions,
): RemoteImage {
  const { layers, kind = 'oci', tag = '1', architecture = 'amd64', change } = options;
  const types = kinds[kind];
  const config = Buffer.from(
    JSON.stringify({
      architecture,
      os: 'linux',
      config: { Cmd: ['sh'] },
      rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => digestOf(tar)) },
    }),
  );
  const configDigest = registry.addBlob(repository, config);
  const layerDigests = layers.map(({ bytes }) => registry.addBlob(repository, bytes));
  const manifest: Record<string, unknown> = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: configDigest, size: config.length },
    layers: layers.map(({ bytes, type }, at) => ({
      mediaType: type,
      digest: layerDigests[at],
      size: bytes.length,
    })),
  };
  change?.(manifest);
  const digest = registry.addManifest(repository, tag, String(manifest.mediaType), manifest);
  return { digest, size: JSON.stringify(manifest).length, configDigest, layerDigests };
}
