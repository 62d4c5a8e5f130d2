import { type Descriptor, type Digest, decodeManifest, type Manifest } from '../../oci/index.ts';
import type { CacheWriter, OutgoingManifest, PresentCache } from './cache-place.ts';
import { RegistryWriter, type RegistryWriterInputs } from './registry-place.ts';

/**
 * Writes a cache beside an image in a registry, as a referrer of what its tag names: the image itself, and so its digest, stays as
 * it is. It needs no further layers, since those of the image are there.
 */
export class InlineWriter extends RegistryWriter implements CacheWriter {
  readonly #inputs: RegistryWriterInputs;
  readonly subject: Descriptor;

  constructor(inputs: RegistryWriterInputs, subject: Descriptor) {
    super(inputs);
    this.#inputs = inputs;
    const { mediaType, digest, size } = subject;
    this.subject = { mediaType, digest, size };
  }

  override read(signal: AbortSignal): Promise<readonly PresentCache[]> {
    return this.besideImage(this.subject.digest as Digest, `cannot read the cache of ${this.name}`, signal);
  }

  override async putManifest(manifest: OutgoingManifest, signal: AbortSignal): Promise<void> {
    const { pushReferrer } = await import('../../registry/index.ts');
    const document = decodeManifest(manifest.bytes.toString('utf8'), 'manifest of the cache');
    await pushReferrer(
      this.#inputs.repository,
      manifest,
      document as Manifest & Required<Pick<Manifest, 'subject'>>,
      { doing: `cannot export the cache of ${this.name}`, signal },
    );
  }
}
