/**
 * The catalogue of error codes: API, documented one by one in docs/errors.md (a test compares the two).
 * The value is the short explanation that docs/errors.md opens with. Keep sorted.
 */
export const errorCodes = {
  ABORTED: 'the operation was cancelled (Ctrl-C or an AbortSignal)',
  ARCHIVE_INVALID: 'a tar or image archive cannot be read',
  BLOB_NOT_FOUND: 'the store lacks a blob that something refers to',
  CHMOD_INVALID: 'a `--chmod` value is neither octal nor symbolic',
  CONTENT_CHANGED: 'a file changed while it was being read or packed',
  CONTEXT_UNREADABLE: 'a file of the build context cannot be read',
  COPY_ONTO_DIRECTORY: 'COPY or ADD would replace a directory with a file',
  COPY_ONTO_FILE: 'COPY or ADD would copy a directory onto something that is not one',
  COPY_SOURCE_NOT_FOUND: 'a source of COPY or ADD does not exist where it is looked for',
  DIGEST_INVALID: 'text that should be a digest is not `sha256:` and 64 hex digits',
  DIGEST_MISMATCH: 'bytes do not have the digest or size that names them',
  DOCUMENT_INVALID: 'a manifest, index or config JSON breaks its schema',
  EPOCH_INVALID: 'SOURCE_DATE_EPOCH is not a number of seconds',
  IMAGE_IN_USE: 'an image cannot be removed because of its other names',
  IMAGE_NOT_FOUND: 'no image of that name or ID is in the store',
  LINK_LOOP: 'symbolic links point at each other in a circle',
  NAME_EMPTY: 'a variable name is empty',
  NOT_A_DIRECTORY: 'a path needs a directory where something else exists',
  REFERENCE_AMBIGUOUS: 'a short image ID is the beginning of several IDs',
  REFERENCE_INVALID: 'a name is not a valid image reference',
  STORE_BUSY: 'another process is at work in a store that must be migrated first',
  STORE_DAMAGED: 'the store holds documents that cannot be trusted; `cairn fsck` says which',
  STORE_FULL: 'the file system of the store is full',
  STORE_INVALID: 'the folder given as store holds something else',
  STORE_NOT_ACCESSIBLE: 'this user may not read or write the store',
  STORE_PRUNED: 'another process removed from the store what this one was about to use',
  STORE_TOO_NEW: 'the store was made by a newer Cairn',
  USAGE: 'a command line that cairn does not understand',
  USER_NOT_FOUND: "a user or group is not in the image's account files",
  VOLUME_EMPTY: 'VOLUME names an empty path',
} as const satisfies Record<string, string>;

export type ErrorCode = keyof typeof errorCodes;
