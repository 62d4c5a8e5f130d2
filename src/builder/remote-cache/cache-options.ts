import type { Digest, Reference } from '../../oci/index.ts';
import type { LayerCompression } from '../../store/contracts.ts';

/** Where a build may find results (`--cache-from`). */
export type CacheSource =
  /** A cache in a registry, or an image with a cache beside it (`type=inline`). */
  | { readonly kind: 'registry'; readonly reference: Reference }
  /** An OCI layout on this machine: by digest, else by tag. */
  | { readonly kind: 'local'; readonly path: string; readonly tag: string; readonly digest?: Digest };

/** What of a build's layers a cache holds: those of the image, or those of all stages. */
export type CacheMode = 'min' | 'max';

interface TargetOptions {
  /** A failure is told and does not fail the build. */
  readonly ignoreError: boolean;
}

/** Where a build leaves its results (`--cache-to`). */
export type CacheTarget = TargetOptions &
  (
    | {
        readonly kind: 'registry';
        readonly reference: Reference;
        readonly mode: CacheMode;
        readonly compression: LayerCompression | 'none';
      }
    | {
        readonly kind: 'local';
        readonly path: string;
        readonly tag: string;
        readonly mode: CacheMode;
        readonly compression: LayerCompression | 'none';
      }
    /** Beside each image that is pushed, as its referrer. */
    | { readonly kind: 'inline' }
  );
