import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A request as the registry saw it. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** Answers in place of the registry, when it returns true. `count` is the number of this request among those alike. */
export type Intercept = (
  request: SeenRequest,
  response: ServerResponse,
  count: number,
) => boolean | Promise<boolean>;

export interface FakeRegistryOptions {
  readonly intercept?: Intercept;
}

/** A registry in this process, in memory: enough of distribution's API to pull from and push to, and to break. */
export class FakeRegistry {
  readonly blobs = new Map<string, Buffer>();
  /** By `repository:tag` and `repository@digest`. */
  readonly manifests = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  /** Repositories by blob, for mounting. */
  readonly #holders = new Map<string, Set<string>>();
  readonly #uploads = new Map<string, Buffer>();
  readonly requests: SeenRequest[] = [];
  readonly #counts = new Map<string, number>();
  readonly #options: FakeRegistryOptions;
  readonly #server: Server;
  #port = 0;
  #extra: Intercept | null = null;

  private constructor(options: FakeRegistryOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** Starts one on a free port of this machine, until the test is over. */
  static async start(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
    const registry = new FakeRegistry(options);
    await new Promise<void>((done) => registry.#server.listen(0, '127.0.0.1', done));
    registry.#port = (registry.#server.address() as AddressInfo).port;
    onTestFinished(() => registry.stop());
    return registry;
  }

  /** `127.0.0.1:PORT`, as in references. */
  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((done) => this.#server.close(done));
  }

  /** Adds a blob to a repository. @returns its digest */
  addBlob(repository: string, bytes: Buffer): string {
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    const holders = this.#holders.get(digest) ?? new Set();
    this.#holders.set(digest, holders.add(repository));
    return digest;
  }

  /** Adds a manifest under a tag and its digest. @returns its digest */
  addManifest(repository: string, tag: string | null, type: string, document: object): string {
    const bytes = Buffer.from(JSON.stringify(document));
    return this.#putManifest(repository, tag, { type, bytes });
  }

  /** A further interception, asked before the one of the options. */
  intercept(handler: Intercept): void {
    this.#extra = handler;
  }

  /** What was asked for, as `METHOD path`, without the first ping. */
  get log(): readonly string[] {
    return this.requests.map(({ method, url }) => `${method} ${url}`).filter((line) => line !== 'GET /v2/');
  }

  #putManifest(repository: string, tag: string | null, manifest: { type: string; bytes: Buffer }): string {
    const digest = digestOf(manifest.bytes);
    this.manifests.set(`${repository}@${digest}`, manifest);
    if (tag !== null) this.manifests.set(`${repository}:${tag}`, manifest);
    return digest;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const seen = { method, url, headers };
    this.requests.push(seen);
    const key = `${method} ${url}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    try {
      if (await this.#extra?.(seen, response, count)) return;
      if (await this.#options.intercept?.(seen, response, count)) return;
      await this.#serve(request, response);
    } catch {
      // The client has gone, as some tests want it.
      response.destroy();
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '' } = request;
    const url = new URL(request.url ?? '', 'http://registry');
    const path = url.pathname;
    const blob = /^\/v2\/(.+)\/blobs\/(sha256:[0-9a-f]{64})$/.exec(path);
    const manifest = /^\/v2\/(.+)\/manifests\/(.+)$/.exec(path);
    const upload = /^\/v2\/(.+)\/blobs\/uploads\/(\w*)$/.exec(path);
    if (path === '/v2/') response.end('{}');
    else if (blob) this.#serveBlob(request, response, { repository: blob[1]!, digest: blob[2]! });
    else if (upload)
      await this.#serveUpload(request, response, { repository: upload[1]!, id: upload[2]!, url });
    else if (manifest && method === 'PUT') {
      const bytes = await bodyOf(request);
      const [, repository = '', reference = ''] = manifest;
      const tag = reference.startsWith('sha256:') ? null : reference;
      const digest = this.#putManifest(repository, tag, {
        type: request.headers['content-type'] ?? '',
        bytes,
      });
      response.writeHead(201, { 'docker-content-digest': digest }).end();
    } else if (manifest) this.#serveManifest(request, response, manifest[1]!, manifest[2]!);
    else notFound(response, 'NAME_UNKNOWN');
  }

  #serveManifest(
    request: IncomingMessage,
    response: ServerResponse,
    repository: string,
    reference: string,
  ): void {
    const separator = reference.startsWith('sha256:') ? '@' : ':';
    const found = this.manifests.get(`${repository}${separator}${reference}`);
    if (found === undefined) return void notFound(response, 'MANIFEST_UNKNOWN');
    response.writeHead(200, {
      'content-type': found.type,
      'content-length': found.bytes.length,
      'docker-content-digest': digestOf(found.bytes),
    });
    response.end(request.method === 'HEAD' ? undefined : found.bytes);
  }

  #serveBlob(
    request: IncomingMessage,
    response: ServerResponse,
    { repository, digest }: { readonly repository: string; readonly digest: string },
  ): void {
    const bytes = this.#holders.get(digest)?.has(repository) ? this.blobs.get(digest) : undefined;
    if (bytes === undefined) return void notFound(response, 'BLOB_UNKNOWN');
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const part = bytes.subarray(from);
    const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': part.length, ...(from > 0 ? range : {}) });
    response.end(request.method === 'HEAD' ? undefined : part);
  }

  async #serveUpload(
    request: IncomingMessage,
    response: ServerResponse,
    { repository, id, url }: { readonly repository: string; readonly id: string; readonly url: URL },
  ): Promise<void> {
    const place = (name: string) => ({ location: `/v2/${repository}/blobs/uploads/${name}?state=x` });
    if (request.method === 'POST') {
      const mount = url.searchParams.get('mount');
      const from = url.searchParams.get('from');
      if (mount !== null && from !== null && this.#holders.get(mount)?.has(from)) {
        this.addBlob(repository, this.blobs.get(mount)!);
        response.writeHead(201, { location: `/v2/${repository}/blobs/${mount}` }).end();
        return;
      }
      const name = `u${this.#uploads.size + 1}`;
      this.#uploads.set(name, Buffer.alloc(0));
      response.writeHead(202, place(name)).end();
      return;
    }
    const before = this.#uploads.get(id);
    if (before === undefined) return void notFound(response, 'BLOB_UPLOAD_UNKNOWN');
    if (request.method === 'PATCH') {
      for await (const chunk of request)
        this.#uploads.set(id, Buffer.concat([this.#uploads.get(id)!, chunk as Buffer]));
      const size = this.#uploads.get(id)!.length;
      response.writeHead(202, { ...place(id), range: `0-${Math.max(size - 1, 0)}` }).end();
    } else if (request.method === 'GET') {
      response.writeHead(204, { ...place(id), range: `0-${Math.max(before.length - 1, 0)}` }).end();
    } else if (request.method === 'PUT') {
      const bytes = Buffer.concat([before, await bodyOf(request)]);
      const digest = url.searchParams.get('digest');
      if (digest !== digestOf(bytes)) {
        response
          .writeHead(400)
          .end(errorBody('DIGEST_INVALID', 'provided digest did not match uploaded content'));
        return;
      }
      this.addBlob(repository, bytes);
      response.writeHead(201, { location: `/v2/${repository}/blobs/${digest}` }).end();
    }
  }
}

/** distribution's form of an error. */
export function errorBody(code: string, message: string): string {
  return JSON.stringify({ errors: [{ code, message, detail: {} }] });
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function notFound(response: ServerResponse, code: string): void {
  response
    .writeHead(404, { 'content-type': 'application/json' })
    .end(errorBody(code, code.toLowerCase().replace('_', ' ')));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
