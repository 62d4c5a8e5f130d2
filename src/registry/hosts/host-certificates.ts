import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import { systemAuthorities } from '../http/system-authorities.ts';
import type { TlsSettings } from '../http/transport.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Folders with a folder of certificates for each host. */
export function certificateFolders(env: Environment): readonly string[] {
  const user = env.XDG_CONFIG_HOME || (env.HOME ? join(env.HOME, '.config') : undefined);
  const own = user ? [join(user, 'docker/certs.d'), join(user, 'containers/certs.d')] : [];
  return ['/etc/docker/certs.d', '/etc/containers/certs.d', ...own];
}

/**
 * Certificates for a host as Docker keeps them: `certs.d/HOST[:PORT]/*.crt` are further authorities, `NAME.cert` with `NAME.key`
 * is the client's own; beside them the machine's authorities (`SSL_CERT_FILE` names another bundle).
 * @throws {CairnError} REGISTRY_CONFIG_INVALID for a client certificate without its key, or the reverse
 */
export function readHostCertificates(
  host: string,
  options: { readonly folders: readonly string[]; readonly env: Environment; readonly isVerified: boolean },
): TlsSettings {
  const authorities: string[] = [];
  let client: { readonly cert: string; readonly key: string } | undefined;
  for (const folder of options.folders.map((parent) => join(parent, host))) {
    const names = list(folder);
    for (const name of names) {
      const path = join(folder, name);
      if (name.endsWith('.crt')) authorities.push(fs.readFileSync(path, 'utf8'));
      if (name.endsWith('.cert')) {
        const key = `${name.slice(0, -5)}.key`;
        if (!names.includes(key)) throw lacking(path, join(folder, key));
        client ??= { cert: fs.readFileSync(path, 'utf8'), key: fs.readFileSync(join(folder, key), 'utf8') };
      }
      if (name.endsWith('.key') && !names.includes(`${name.slice(0, -4)}.cert`))
        throw lacking(path, join(folder, `${name.slice(0, -4)}.cert`));
    }
  }
  const system = systemAuthorities(options.env);
  return {
    isVerified: options.isVerified,
    ...(system === null ? {} : { ca: [system] }),
    ...(authorities.length === 0 ? {} : { extraCa: authorities }),
    ...client,
  };
}

function list(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return [];
    throw error;
  }
}

function lacking(path: string, partner: string): CairnError {
  return new CairnError('REGISTRY_CONFIG_INVALID', {
    message: `${path} is there without ${partner}`,
    help: 'a client certificate is NAME.cert with NAME.key; certificates of authorities end in .crt',
  });
}
