import { CairnError } from '../../errors/index.ts';
import type { Descriptor } from '../../oci/index.ts';
import { type DownloadOptions, downloadBlob, verified } from '../client/download-blob.ts';
import type { RepositoryClient } from '../client/repository-client.ts';

const maxConfigBytes = 8 << 20;

/** A config's bytes, verified. @throws {CairnError} DOCUMENT_INVALID for one that is too large, and as `downloadBlob` */
export async function fetchConfig(
  sources: readonly RepositoryClient[],
  descriptor: Descriptor,
  options: DownloadOptions,
): Promise<Buffer> {
  const { doing } = options;
  if (descriptor.size > maxConfigBytes)
    throw new CairnError('DOCUMENT_INVALID', {
      message: `${doing}: its config is said to have ${descriptor.size} bytes, more than the ${maxConfigBytes} that one may have`,
    });
  const chunks: Uint8Array[] = [];
  for await (const chunk of verified(downloadBlob(sources, descriptor, options), descriptor, doing))
    chunks.push(chunk);
  return Buffer.concat(chunks);
}
