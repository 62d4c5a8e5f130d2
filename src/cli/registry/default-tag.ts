import { parseReference, type Reference, withDefaultTag } from '../../oci/index.ts';
import type { OutputStream } from '../host.ts';

/** A reference with its tag; says so when that is the default one, as Docker does. @throws {CairnError} REFERENCE_INVALID */
export function referenceWithTag(text: string, out: OutputStream | null): Reference {
  const reference = parseReference(text);
  if (reference.tag === undefined && reference.digest === undefined)
    out?.write('Using default tag: latest\n');
  return withDefaultTag(reference);
}
