import { createHash } from 'node:crypto';

declare const digestBrand: unique symbol;
declare const diffIdBrand: unique symbol;
declare const chainIdBrand: unique symbol;
declare const imageIdBrand: unique symbol;

/** `sha256:` and 64 lower-case hex digits, computed from the bytes it names. */
export type Digest = string & { readonly [digestBrand]: true };
/** Digest of a layer's uncompressed tar. */
export type DiffId = Digest & { readonly [diffIdBrand]: true };
/** Digest naming the result of applying layers in order (image-spec config.md, "Layer ChainID"). */
export type ChainId = Digest & { readonly [chainIdBrand]: true };
/** Digest of an image's config. */
export type ImageId = Digest & { readonly [imageIdBrand]: true };

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** True when `text` is a well-formed sha256 digest. */
export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && digestPattern.test(text);
}

/** Digest of bytes, or of a string's UTF-8. */
export function digestOf(data: Uint8Array | string): Digest {
  return fromHex(createHash('sha256').update(data).digest('hex'));
}

/** Prefixes 64 hex digits with the algorithm. */
export function fromHex(hex: string): Digest {
  return `sha256:${hex}` as Digest;
}

/** The 64 hex digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice(7);
}

/**
 * Names the result of applying `diffIds` in order (image-spec config.md, "Layer ChainID").
 * @param diffIds - base layer first.
 * @returns null for no layers (the empty root of `FROM scratch`).
 */
export function chainIdOf(diffIds: readonly DiffId[]): ChainId | null {
  let chain: string | null = null;
  for (const diffId of diffIds) chain = chain === null ? diffId : digestOf(`${chain} ${diffId}`);
  return chain as ChainId | null;
}
