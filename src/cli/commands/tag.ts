import { CairnError, hasCode } from '../../errors/index.ts';
import { parseReference, type Reference, withDefaultTag } from '../../oci/index.ts';
import type { Command } from '../command.ts';
import { withStore } from '../open-store.ts';

export const command: Command = {
  usage: 'SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]',
  summary: 'Give an image another name',
  args: { min: 2, max: 2 },
  flags: [],
  run: ({ host, args: [source = '', target = ''] }) =>
    withStore(host, (store) => {
      const reference = parseTarget(target);
      const { indexDigest, manifestDigest } = store.images.get(source);
      // A further name of a list of platforms is one of the whole list.
      store.images.tag(indexDigest ?? manifestDigest, [reference]);
      return 0;
    }),
};

/** A name for an image. @throws {CairnError} REFERENCE_INVALID, worded as Docker's client words it */
export function parseTarget(text: string): Reference {
  const reference = parse(text);
  if (!reference.digest) return withDefaultTag(reference);
  throw new CairnError('REFERENCE_INVALID', { message: 'refusing to create a tag with a digest reference' });
}

function parse(text: string): Reference {
  try {
    return parseReference(text);
  } catch (error) {
    if (!hasCode(error, 'REFERENCE_INVALID')) throw error;
    const { help } = error;
    throw new CairnError('REFERENCE_INVALID', {
      message: `Error parsing reference: ${error.message}`,
      cause: error,
      ...(help ? { help } : {}),
    });
  }
}
