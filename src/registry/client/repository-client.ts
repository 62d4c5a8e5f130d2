import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';
import { type Descriptor, type Digest, digestOf, isDigest, mediaType } from '../../oci/index.ts';
import type { HttpResponse } from '../http/http-message.ts';
import { decodeList, type RegistryClient } from './registry-client.ts';
import { registryError } from './registry-error.ts';

/** A manifest or index as the registry has it: the very bytes that its digest names. */
export interface FetchedManifest {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly bytes: Buffer;
}

/** distribution accepts no manifest above 4 MiB. */
const maxManifestBytes = 4 << 20;
const octets = 'application/octet-stream';
const tagsSchema = v.object({ tags: v.nullable(v.array(v.string())) });

const manifestTypes: readonly string[] = [
  mediaType.ociIndex,
  mediaType.dockerIndex,
  mediaType.ociManifest,
  mediaType.dockerManifest,
];

/** What a repository can be asked, one request each: distribution-spec 1.1 and Docker's v2. */
export class RepositoryClient {
  readonly registry: RegistryClient;
  /** Path within the registry: `library/debian`. */
  readonly name: string;

  constructor(registry: RegistryClient, name: string) {
    this.registry = registry;
    this.name = name;
  }

  /** `host/name`, as it is remembered. */
  get location(): string {
    return `${this.registry.host}/${this.name}`;
  }

  /**
   * Fetches a manifest or index, verified against the digest that was asked for or that the registry states.
   * @param reference - tag or digest
   * @throws {CairnError} REGISTRY_NOT_FOUND, DIGEST_MISMATCH, MEDIA_TYPE_UNSUPPORTED, and as `RegistryClient.request`
   */
  async getManifest(reference: string, doing: string, signal?: AbortSignal): Promise<FetchedManifest> {
    const response = await this.registry.expect(
      { ...this.#manifest('GET', reference, signal), headers: { accept: manifestTypes.join(', ') } },
      [200],
      doing,
    );
    const bytes = await response.body.bytes(maxManifestBytes);
    const digest = digestOf(bytes);
    const wanted = isDigest(reference) ? reference : statedDigest(response);
    if (wanted !== null && wanted !== digest)
      throw new CairnError('DIGEST_MISMATCH', {
        message: `${doing}: ${this.registry.host} sent a manifest with the digest ${digest}, not ${wanted}`,
        help: 'the registry or something on the way to it damages data; nothing was stored',
      });
    return { mediaType: this.#typeOf(response, bytes, doing), digest, bytes };
  }

  /** The descriptor of a manifest, without its bytes; null when there is none. Costs no pull at registries that count. */
  async headManifest(
    reference: string,
    doing: string,
    signal?: AbortSignal,
  ): Promise<Pick<Descriptor, 'mediaType' | 'digest' | 'size'> | null> {
    const response = await this.registry.request(
      { ...this.#manifest('HEAD', reference, signal), headers: { accept: manifestTypes.join(', ') } },
      doing,
    );
    await response.body.dump();
    if (response.status === 404) return null;
    if (response.status !== 200) throw await registryError(response, doing);
    const digest = statedDigest(response) ?? (isDigest(reference) ? reference : null);
    const size = Number(response.header('content-length') ?? Number.NaN);
    if (digest === null || !Number.isSafeInteger(size)) return null;
    return { mediaType: contentType(response), digest, size };
  }

  /**
   * Stores a manifest or index under a tag or its digest.
   * @returns whether the registry keeps track of its `subject` itself (OCI-Subject)
   * @throws {CairnError} as `RegistryClient.expect`; DIGEST_MISMATCH when the registry has understood something else
   */
  async putManifest(
    reference: string,
    manifest: FetchedManifest,
    doing: string,
    signal?: AbortSignal,
  ): Promise<{ readonly hasSubject: boolean }> {
    const response = await this.registry.expect(
      {
        ...this.#manifest('PUT', reference, signal),
        headers: { 'content-type': manifest.mediaType },
        body: manifest.bytes,
      },
      [200, 201, 202],
      doing,
    );
    await response.body.dump();
    const stored = statedDigest(response);
    if (stored !== null && stored !== manifest.digest)
      throw new CairnError('DIGEST_MISMATCH', {
        message: `${doing}: ${this.registry.host} stored a manifest with the digest ${stored}, not ${manifest.digest}`,
      });
    return { hasSubject: response.header('oci-subject') !== undefined };
  }

  /** Size of a blob that the repository has, or null. */
  async blobSize(digest: Digest, doing: string, signal?: AbortSignal): Promise<number | null> {
    const response = await this.registry.request(
      {
        method: 'HEAD',
        path: `${this.name}/blobs/${digest}`,
        scopes: this.#scopes('pull'),
        ...(signal && { signal }),
      },
      doing,
    );
    await response.body.dump();
    if (response.status === 200) return Number(response.header('content-length') ?? 0);
    if (response.status === 404) return null;
    throw await registryError(response, doing);
  }

  /** Opens a blob at `offset`; 200 (from the start) or 206. @throws {CairnError} as `RegistryClient.expect` */
  openBlob(digest: Digest, offset: number, doing: string, signal?: AbortSignal): Promise<HttpResponse> {
    return this.registry.expect(
      {
        method: 'GET',
        path: `${this.name}/blobs/${digest}`,
        scopes: this.#scopes('pull'),
        headers: { accept: octets, ...(offset === 0 ? {} : { range: `bytes=${offset}-` }) },
        ...(signal && { signal }),
      },
      offset === 0 ? [200] : [200, 206],
      doing,
    );
  }

  /**
   * Starts an upload, or has the registry take the blob from one of its other repositories.
   * @returns where to upload to, and the least size of a chunk; null when the blob is there (mounted)
   */
  async startUpload(
    mount: { readonly digest: Digest; readonly from: string } | null,
    doing: string,
    signal?: AbortSignal,
  ): Promise<{ readonly url: URL; readonly minChunkBytes: number } | null> {
    const query =
      mount === null
        ? ''
        : `?mount=${encodeURIComponent(mount.digest)}&from=${encodeURIComponent(mount.from)}`;
    const scopes = [
      ...this.#scopes('pull,push'),
      ...(mount === null ? [] : [`repository:${mount.from}:pull`]),
    ];
    const response = await this.registry.expect(
      {
        method: 'POST',
        path: `${this.name}/blobs/uploads/${query}`,
        scopes,
        headers: { 'content-length': '0' },
        ...(signal && { signal }),
      },
      mount === null ? [202] : [201, 202],
      doing,
    );
    await response.body.dump();
    if (response.status === 201) return null;
    const minChunkBytes = Number(response.header('oci-chunk-min-length') ?? 0);
    return {
      url: uploadUrl(response, doing),
      minChunkBytes: Number.isSafeInteger(minChunkBytes) ? minChunkBytes : 0,
    };
  }

  /** One request to an upload in progress. Credentials go along when it is at the registry's own origin. */
  upload(
    request: {
      readonly method: 'PATCH' | 'PUT' | 'GET' | 'DELETE';
      readonly url: URL;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: () => AsyncIterable<Uint8Array>;
      readonly signal?: AbortSignal;
    },
    doing: string,
  ): Promise<HttpResponse> {
    const { url, ...rest } = request;
    return this.registry.request({ ...rest, path: url, scopes: this.#scopes('pull,push') }, doing);
  }

  /** All tags, in the registry's order. */
  async *tags(doing: string, signal?: AbortSignal): AsyncGenerator<string> {
    const options = { doing, scopes: this.#scopes('pull'), ...(signal && { signal }) };
    for await (const text of this.registry.pages(`${this.name}/tags/list?n=1000`, options))
      yield* decodeList(tagsSchema, text, this.registry.host).tags ?? [];
  }

  /** Scope of a token. */
  #scopes(actions: string): readonly string[] {
    return [`repository:${this.name}:${actions}`];
  }

  #manifest<M extends 'GET' | 'HEAD' | 'PUT'>(method: M, reference: string, signal: AbortSignal | undefined) {
    return {
      method,
      path: `${this.name}/manifests/${reference}`,
      scopes: this.#scopes(method === 'PUT' ? 'pull,push' : 'pull'),
      ...(signal && { signal }),
    };
  }

  /** What the bytes say they are counts; a header that contradicts them is refused. */
  #typeOf(response: HttpResponse, bytes: Buffer, doing: string): string {
    const said = contentType(response);
    const own = ownMediaType(bytes);
    if (own !== null && manifestTypes.includes(own) && (own === said || !manifestTypes.includes(said)))
      return own;
    if (own === null && manifestTypes.includes(said)) return said;
    throw new CairnError('MEDIA_TYPE_UNSUPPORTED', {
      message: `${doing}: ${this.registry.host} sent a manifest of the type "${(own ?? said).slice(0, 100)}"`,
      notes: [{ message: `it is sent as "${said.slice(0, 100)}"; accepted are ${manifestTypes.join(', ')}` }],
      help: /docker\.distribution\.manifest\.v1/.test(`${own} ${said}`)
        ? 'schema 1 images have no digests to trust: push the image again with a newer tool'
        : 'this is no image',
    });
  }
}

function statedDigest(response: HttpResponse): Digest | null {
  const stated = response.header('docker-content-digest');
  return isDigest(stated) ? stated : null;
}

function contentType(response: HttpResponse): string {
  return (response.header('content-type') ?? '').split(';')[0]?.trim() ?? '';
}

/** The `mediaType` in the document (optional for OCI's), or schema 1's own type; null when it says nothing. */
function ownMediaType(bytes: Buffer): string | null {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    return null;
  }
  if (value === null || typeof value !== 'object') return null;
  if ('schemaVersion' in value && value.schemaVersion === 1)
    return 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  return 'mediaType' in value && typeof value.mediaType === 'string' && value.mediaType !== ''
    ? value.mediaType
    : null;
}

/** Where an upload goes on, from an answer's Location. @throws {CairnError} REGISTRY_RESPONSE_INVALID */
export function uploadUrl(response: HttpResponse, doing: string): URL {
  const location = response.header('location');
  const url =
    location !== undefined && URL.canParse(location, response.url.href)
      ? new URL(location, response.url.href)
      : null;
  if (url !== null && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new CairnError('REGISTRY_RESPONSE_INVALID', {
    message: `${doing}: ${response.url.host} does not say where to upload to`,
  });
}
