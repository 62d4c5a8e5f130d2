import { parseReference, type Reference, withDefaultTag } from '../../oci/index.ts';
import { hostPath } from '../build/build-options.ts';
import { UsageError } from '../command.ts';
import type { Host } from '../host.ts';

/** An end of `copy`. */
export type CopyPlace =
  | { readonly kind: 'docker'; readonly reference: Reference }
  | { readonly kind: 'oci'; readonly folder: string; readonly name?: string }
  | {
      readonly kind: 'archive';
      readonly form: 'oci' | 'docker';
      readonly path: string;
      readonly name?: string;
    }
  | { readonly kind: 'store'; readonly name: string };

/**
 * Reads `docker://NAME`, `oci:FOLDER[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`, and `store:NAME` or a bare name,
 * as skopeo writes them.
 * @throws {UsageError} {CairnError} REFERENCE_INVALID
 */
export function parseCopyPlace(text: string, host: Host): CopyPlace {
  const scheme = /^(docker|oci|oci-archive|docker-archive|store):/.exec(text)?.[1];
  // A registry may be called "oci" as well: `oci:5000/x` has a number behind the colon and no such file.
  if (scheme === undefined) return { kind: 'store', name: text };
  const rest = text.slice(scheme.length + 1);
  if (rest === '') throw new UsageError(`"${text}" names nothing behind "${scheme}:"`);
  if (scheme === 'store') return { kind: 'store', name: rest };
  if (scheme === 'docker') {
    if (!rest.startsWith('//')) throw new UsageError(`"${text}" must be docker://NAME`);
    return { kind: 'docker', reference: withDefaultTag(parseReference(rest.slice(2))) };
  }
  const colon = rest.indexOf(':');
  const path = hostPath(host, colon < 0 ? rest : rest.slice(0, colon));
  const name = colon < 0 ? {} : { name: rest.slice(colon + 1) };
  if (scheme === 'oci') return { kind: 'oci', folder: path, ...name };
  return { kind: 'archive', form: scheme === 'oci-archive' ? 'oci' : 'docker', path, ...name };
}
