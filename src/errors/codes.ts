/**
 * The catalogue of error codes: API, documented one by one in docs/errors.md (a test compares the two).
 * The value is the short explanation that docs/errors.md opens with. Keep sorted.
 */
export const errorCodes = {
  ABORTED: 'the operation was cancelled (Ctrl-C or an AbortSignal)',
  ARCHIVE_INVALID: 'a tar or image archive cannot be read',
  BLOB_NOT_FOUND: 'the store lacks a blob that something refers to',
  DIGEST_INVALID: 'text that should be a digest is not `sha256:` and 64 hex digits',
  DIGEST_MISMATCH: 'bytes do not have the digest or size that names them',
  DOCUMENT_INVALID: 'a manifest, index or config JSON breaks its schema',
  IMAGE_NOT_FOUND: 'no image of that name or ID is in the store',
  REFERENCE_INVALID: 'a name is not a valid image reference',
  USAGE: 'a command line that cairn does not understand',
} as const satisfies Record<string, string>;

export type ErrorCode = keyof typeof errorCodes;
