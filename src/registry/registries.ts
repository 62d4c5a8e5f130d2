import type { Reference } from '../oci/index.ts';
import { DockerConfig } from './auth/docker-config.ts';
import { RegistryClient } from './client/registry-client.ts';
import { RepositoryClient } from './client/repository-client.ts';
import { type Endpoint, endpointOf, endpointsOf } from './hosts/endpoint.ts';
import { certificateFolders, readHostCertificates } from './hosts/host-certificates.ts';
import { type RegistrySettings, readRegistrySettings, settingsFiles } from './hosts/registry-settings.ts';
import { type TlsSettings, Transport } from './http/transport.ts';
import type { RetryOptions } from './http/with-retry.ts';

export interface RegistriesOptions {
  /** For proxies, Docker's config.json, Cairn's own configuration, credential helpers. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds on any clock: when tokens expire. */
  readonly now: () => number;
  /** In place of the usual configuration files. */
  readonly settingsFiles?: readonly string[];
  /** In place of the usual `certs.d` folders. */
  readonly certificateFolders?: readonly string[];
  readonly retry?: RetryOptions;
}

/**
 * All registries as this user reaches them: mirrors, certificates, credentials, pooled connections. Nothing is read or opened
 * before it is needed. `close` must be called.
 */
export class Registries {
  readonly credentials: DockerConfig;
  readonly #options: RegistriesOptions;
  readonly #transport: Transport;
  readonly #clients = new Map<string, RegistryClient>();
  readonly #tls = new Map<string, TlsSettings>();
  readonly #insecureHosts = new Set<string>();
  #settings: RegistrySettings | null = null;

  constructor(options: RegistriesOptions) {
    this.#options = options;
    this.credentials = new DockerConfig(options.env);
    this.#transport = new Transport({ env: options.env, tlsFor: (host) => this.#tlsFor(host) });
  }

  /** The registry itself, without mirrors. @param name - as in a reference: `docker.io`, `localhost:5000` */
  async registry(name: string): Promise<RegistryClient> {
    return this.#client(await endpointOf(name, this.#readSettings()), name);
  }

  /** Docker Hub's index, which answers searches. */
  async hubIndex(): Promise<RegistryClient> {
    return this.#client(await endpointOf('index.docker.io', this.#readSettings()), 'docker.io');
  }

  /** The repository in the registry itself: where to push. */
  async repository({ registry, repository }: Reference): Promise<RepositoryClient> {
    return new RepositoryClient(await this.registry(registry), repository);
  }

  /** The repository in each place to pull from: mirrors in their order, then the registry itself. */
  async sources({ registry, repository }: Reference): Promise<readonly RepositoryClient[]> {
    const endpoints = await endpointsOf(registry, this.#readSettings());
    return endpoints.map((endpoint) => {
      const client = this.#client(endpoint, endpoint.isMirror ? endpoint.host : registry);
      return new RepositoryClient(client, repository);
    });
  }

  /** Ends all connections. */
  close(): Promise<void> {
    return this.#transport.close();
  }

  #client(endpoint: Endpoint, credentialsOf: string): RegistryClient {
    const key = endpoint.urls.map(({ href }) => href).join(' ');
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    if (endpoint.isInsecure) this.#insecureHosts.add(endpoint.host);
    const client = new RegistryClient({
      endpoint,
      send: this.#transport.send,
      credentials: () => this.credentials.find(credentialsOf),
      now: this.#options.now,
      ...(this.#options.retry && { retry: this.#options.retry }),
    });
    this.#clients.set(key, client);
    return client;
  }

  #readSettings(): RegistrySettings {
    this.#settings ??= readRegistrySettings(this.#options.settingsFiles ?? settingsFiles(this.#options.env));
    return this.#settings;
  }

  #tlsFor(host: string): TlsSettings {
    const known = this.#tls.get(host);
    if (known !== undefined) return known;
    const { env } = this.#options;
    const read = readHostCertificates(host, {
      folders: this.#options.certificateFolders ?? certificateFolders(env),
      env,
      isVerified: !this.#insecureHosts.has(host),
    });
    this.#tls.set(host, read);
    return read;
  }
}
