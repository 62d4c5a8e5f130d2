import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';
import { CredentialHelper } from './credential-helper.ts';
import type { Credentials } from './credentials.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Docker Hub's key in `auths` and to credential helpers, since ever. */
const dockerHubServer = 'https://index.docker.io/v1/';

const authSchema = v.looseObject({
  auth: v.optional(v.string()),
  username: v.optional(v.string()),
  password: v.optional(v.string()),
  identitytoken: v.optional(v.string()),
  registrytoken: v.optional(v.string()),
});
const configSchema = v.looseObject({
  auths: v.optional(v.nullable(v.record(v.string(), authSchema))),
  credsStore: v.optional(v.string()),
  credHelpers: v.optional(v.nullable(v.record(v.string(), v.string()))),
});
type Config = v.InferOutput<typeof configSchema>;

/** The user name under which helpers keep an identity token. */
const tokenUser = '<token>';

/** Where Docker's client keeps its settings: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; null without a home. */
function dockerConfigPath(env: Environment): string | null {
  if (env.DOCKER_CONFIG) return join(env.DOCKER_CONFIG, 'config.json');
  return env.HOME ? join(env.HOME, '.docker', 'config.json') : null;
}

/** The key of a registry in `auths`, and what helpers are asked for. */
export function serverKey(registry: string): string {
  return registry === 'docker.io' || registry === 'index.docker.io' || registry === 'registry-1.docker.io'
    ? dockerHubServer
    : registry;
}

/**
 * Docker's config.json: credentials by registry, in the file or with helpers. Read when first asked; what is written keeps every
 * key that it does not know, with mode 0600, and replaces the file as a whole.
 */
export class DockerConfig {
  readonly #env: Environment;
  readonly path: string | null;

  constructor(env: Environment) {
    this.#env = env;
    this.path = dockerConfigPath(env);
  }

  /**
   * What is known for a registry (`docker.io`, `localhost:5000`): by its helper, else by the store for all, else in the file.
   * @returns null for nothing. @throws {CairnError} CREDENTIALS_FAILED
   */
  async find(registry: string): Promise<Credentials | null> {
    const config = this.#read();
    const server = serverKey(registry);
    const helper = this.#helper(config, server);
    if (helper === null) return fromFile(config, server);
    const found = await helper.get(server);
    if (found === null) return null;
    if (found.username === tokenUser) return { kind: 'identity-token', token: found.secret };
    return { kind: 'basic', username: found.username, password: found.secret };
  }

  /**
   * Keeps credentials (`login`).
   * @returns where: the path of the file, or the name of the helper
   * @throws {CairnError} CREDENTIALS_FAILED
   */
  async save(
    registry: string,
    username: string,
    secret: { readonly password: string } | { readonly identityToken: string },
  ): Promise<{ readonly helper: string | null }> {
    const config = this.#read();
    const server = serverKey(registry);
    const helper = this.#helper(config, server);
    if (helper === null) {
      this.#write(withAuthEntry(config, server, fileEntry(username, secret)));
      return { helper: null };
    }
    await helper.store(
      server,
      'password' in secret
        ? { username, secret: secret.password }
        : { username: tokenUser, secret: secret.identityToken },
    );
    // As Docker's client does: an empty entry says that there is something for this server.
    this.#write(withAuthEntry(config, server, {}));
    return { helper: helper.name };
  }

  /** Forgets credentials (`logout`). @returns whether there were any. @throws {CairnError} CREDENTIALS_FAILED */
  async remove(registry: string): Promise<boolean> {
    const config = this.#read();
    const server = serverKey(registry);
    const helper = this.#helper(config, server);
    if (helper !== null) await helper.erase(server);
    const kept = Object.entries(config.auths ?? {}).filter(
      ([key]) => key !== server && hostOf(key) !== hostOf(server),
    );
    const isKnown = kept.length !== Object.keys(config.auths ?? {}).length;
    if (isKnown) this.#write({ ...config, auths: Object.fromEntries(kept) });
    return isKnown;
  }

  #helper(config: Config, server: string): CredentialHelper | null {
    const name = config.credHelpers?.[server] ?? config.credHelpers?.[hostOf(server)] ?? config.credsStore;
    return name ? new CredentialHelper(name, this.#env) : null;
  }

  #read(): Config {
    if (this.path === null) return {};
    let text: string;
    try {
      text = fs.readFileSync(this.path, 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return {};
      throw this.#failed(`cannot be read: ${(error as Error).message}`);
    }
    try {
      return v.parse(configSchema, JSON.parse(text));
    } catch {
      // The file holds secrets: nothing of it is shown.
      throw this.#failed('is not the JSON that Docker writes');
    }
  }

  #write(config: Config): void {
    if (this.path === null)
      throw new CairnError('CREDENTIALS_FAILED', {
        message: 'there is nowhere to keep credentials',
        help: 'set HOME or DOCKER_CONFIG',
      });
    // A link (dotfiles in a repository) stays one; what it leads to is replaced.
    const path = fs.existsSync(this.path) ? fs.realpathSync(this.path) : this.path;
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      fs.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      fs.writeFileSync(temporary, `${JSON.stringify(config, null, '\t')}\n`, { mode: 0o600, flag: 'wx' });
      fs.renameSync(temporary, path);
    } catch (cause) {
      fs.rmSync(temporary, { force: true });
      throw this.#failed(`cannot be written: ${(cause as Error).message}`);
    }
  }

  #failed(why: string): CairnError {
    return new CairnError('CREDENTIALS_FAILED', {
      message: `${this.path} ${why}`,
      help: 'DOCKER_CONFIG names another folder for config.json',
    });
  }
}

function withAuthEntry(config: Config, server: string, entry: Record<string, string>): Config {
  return { ...config, auths: { ...config.auths, [server]: entry } };
}

function fileEntry(
  username: string,
  secret: { readonly password: string } | { readonly identityToken: string },
): Record<string, string> {
  const password = 'password' in secret ? secret.password : '';
  const auth = Buffer.from(`${username}:${password}`, 'utf8').toString('base64');
  return 'password' in secret ? { auth } : { auth, identitytoken: secret.identityToken };
}

function fromFile(config: Config, server: string): Credentials | null {
  const auths = config.auths ?? {};
  const entry = auths[server] ?? Object.entries(auths).find(([key]) => hostOf(key) === hostOf(server))?.[1];
  if (entry === undefined) return null;
  if (entry.registrytoken) return { kind: 'registry-token', token: entry.registrytoken };
  if (entry.identitytoken) return { kind: 'identity-token', token: entry.identitytoken };
  const [username, password] = namesOf(entry);
  return username === '' ? null : { kind: 'basic', username, password };
}

function namesOf(entry: v.InferOutput<typeof authSchema>): readonly [username: string, password: string] {
  if (!entry.auth) return [entry.username ?? '', entry.password ?? ''];
  const pair = Buffer.from(entry.auth, 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  // Docker trims NULs that old Windows clients appended.
  return colon < 0 ? ['', ''] : [pair.slice(0, colon), pair.slice(colon + 1).replace(/\0+$/, '')];
}

/** Old keys are URLs: `https://host/v1/`. */
function hostOf(key: string): string {
  return key.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
}
