/** A request as the layers around the transport see it. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Without user name and password. */
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes, or what makes them anew for each attempt. */
  readonly body?: string | Uint8Array | (() => AsyncIterable<Uint8Array>);
  /** What a token for this request must allow: `repository:library/debian:pull`. For `withAuth`. */
  readonly scopes?: readonly string[];
  readonly signal?: AbortSignal;
}

/** An answer; `body` must be read to its end or dumped. */
export interface HttpResponse {
  readonly status: number;
  /** Where the answer comes from, after redirects. */
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The first value of a header. @param name - in lower case */
  header(name: string): string | undefined;
  /** All values of a header. @param name - in lower case */
  headerValues(name: string): readonly string[];
  readonly body: HttpBody;
}

export interface HttpBody extends AsyncIterable<Uint8Array> {
  /** The whole body. @throws {CairnError} REGISTRY_RESPONSE_INVALID over `maxBytes` */
  bytes(maxBytes: number): Promise<Buffer>;
  /** Throws the rest away. */
  dump(): Promise<void>;
}

/**
 * Sends a request. The transport does it; `withRedirects`, `withRetry` and `withAuth` each take one and give another.
 * @throws network errors as they are
 */
export type Send = (request: HttpRequest) => Promise<HttpResponse>;
