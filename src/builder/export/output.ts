import type { Reference } from '../../oci/index.ts';
import type { LayerCompression } from '../../store/contracts.ts';

/** Where an archive goes: a file on the host (an absolute path), or whoever takes its bytes. */
export type OutputTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stream'; readonly write: (chunk: Uint8Array) => void };

/** What a build leaves behind (`--output`). */
export type BuildOutput =
  /** The image in the store, with the build's tags; other `names` replace them. */
  | ImageOutput
  /** The files of the result in a folder of the host, owned by the caller. */
  | {
      readonly kind: 'local';
      readonly path: string;
      /** Remove what the folder has and the result has not. */
      readonly isMirror?: boolean;
      /** A folder for each platform (`linux_amd64`): for several platforms when absent. */
      readonly splitPlatforms?: boolean;
    }
  /** The files of the result as a tar, owned by root. */
  | { readonly kind: 'tar'; readonly to: OutputTarget; readonly splitPlatforms?: boolean }
  /** An OCI image layout, as a tar or a folder. */
  | (ImageForm & {
      readonly kind: 'oci';
      readonly to: OutputTarget | { readonly kind: 'folder'; readonly path: string };
    })
  /** An archive for `docker load`, which is an OCI image layout as well. */
  | (ImageForm & { readonly kind: 'docker'; readonly to: OutputTarget });

export interface ImageOutput extends ImageForm {
  readonly kind: 'store';
}

/** How manifests are written. */
export interface ImageForm {
  /** Instead of the build's tags. */
  readonly names?: readonly Reference[];
  /** `oci` when absent. */
  readonly mediaTypes?: 'oci' | 'docker';
  /** Of layers in archives and for registries; archives have them as they are when absent. In the store they always are. */
  readonly compression?: 'none' | LayerCompression;
  /** Beside those of the build. */
  readonly annotations?: readonly Annotation[];
}

/** What carries an annotation. */
export type AnnotationPlace = 'manifest' | 'manifest-descriptor' | 'index' | 'index-descriptor';

/** `--annotation [PLACE[PLATFORM]:]KEY=VALUE`. */
export interface Annotation {
  readonly place: AnnotationPlace;
  /** As `formatPlatform` writes it; every platform when absent. */
  readonly platform?: string;
  readonly key: string;
  readonly value: string;
}
