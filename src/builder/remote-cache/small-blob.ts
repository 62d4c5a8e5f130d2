import { createHash } from 'node:crypto';
import { CairnError } from '../../errors/index.ts';
import { type Descriptor, fromHex } from '../../oci/index.ts';

/**
 * All bytes of a blob, verified.
 * @throws {CairnError} DOCUMENT_INVALID for one that is said to be larger than `maxBytes`, DIGEST_MISMATCH
 */
export async function readSmallBlob(
  bytes: AsyncIterable<Uint8Array>,
  { digest, size }: Descriptor,
  options: { readonly name: string; readonly maxBytes: number },
): Promise<Buffer> {
  const { name, maxBytes } = options;
  if (size > maxBytes)
    throw new CairnError('DOCUMENT_INVALID', {
      message: `${name}: blob ${digest} is said to have ${size} bytes, more than the ${maxBytes} that it may have`,
    });
  const chunks: Uint8Array[] = [];
  let length = 0;
  const hash = createHash('sha256');
  for await (const chunk of bytes) {
    length += chunk.length;
    if (length > size) break;
    hash.update(chunk);
    chunks.push(chunk);
  }
  const found = fromHex(hash.digest('hex'));
  if (length === size && found === digest) return Buffer.concat(chunks);
  throw new CairnError('DIGEST_MISMATCH', {
    message: `${name}: expected blob ${digest} (${size} bytes), got ${found} (${length} bytes)`,
  });
}
