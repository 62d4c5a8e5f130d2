import { CairnError } from '../../errors/index.ts';
import { parseReference } from '../../oci/index.ts';

/** The server of `login` and `logout` as references name it: without scheme and path; Docker Hub when there is none. */
export function registryName(server: string | undefined): string {
  if (server === undefined || server === '') return 'docker.io';
  const host = server.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  if (/^(?:index\.|registry-1\.)?docker\.io$/.test(host)) return 'docker.io';
  try {
    // A lone word is a registry here; with a port every host is one in a reference.
    const probe = /[.:]/.test(host) || host === 'localhost' ? host : `${host}:443`;
    parseReference(`${probe}/name`);
    return host;
  } catch (cause) {
    throw new CairnError('REFERENCE_INVALID', {
      message: `"${server}" is not the name of a registry`,
      cause,
    });
  }
}
