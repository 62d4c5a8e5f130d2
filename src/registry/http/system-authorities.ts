import { readFileSync } from 'node:fs';
import type { HostEnv } from './proxy-for-url.ts';

/** Where Go's programs, and so Docker's, find the machine's certificate authorities. */
const bundles: readonly string[] = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/**
 * The certificate authorities that this machine trusts, in PEM: what `SSL_CERT_FILE` names, else the distribution's bundle.
 * @returns null where there is none: Node's own list counts then
 */
export function systemAuthorities(env: HostEnv): string | null {
  for (const path of env.SSL_CERT_FILE ? [env.SSL_CERT_FILE] : bundles) {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EACCES') throw error;
    }
  }
  return null;
}
