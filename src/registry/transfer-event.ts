import type { Digest } from '../oci/index.ts';

/** What happens during a pull or push. */
export type TransferEvent =
  /** What the name stands for is known. */
  | { readonly type: 'resolved'; readonly digest: Digest }
  | {
      readonly type: 'blob';
      /** Pull: the layer's digest in the registry. Push: its diffID, or the digest of a config. */
      readonly digest: Digest;
      readonly status: BlobStatus;
      /** Bytes transferred so far, of `total`. */
      readonly current: number;
      readonly total: number;
      /** False for a config, which Docker does not show. */
      readonly isLayer?: boolean;
      /** For `mounted`: the repository that had it. */
      readonly from?: string;
    }
  /** A tag is pushed. */
  | { readonly type: 'pushed'; readonly tag: string; readonly digest: Digest; readonly size: number };

export type BlobStatus =
  | 'waiting'
  | 'downloading'
  | 'unpacking'
  | 'compressing'
  | 'uploading'
  | 'exists'
  | 'mounted'
  | 'complete';
