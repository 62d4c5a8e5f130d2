import { CairnError } from '../errors/index.ts';
import { type Digest, isDigest } from './digest.ts';

/** What a user writes to name an image, normalised as Docker does. */
export interface Reference {
  /** Registry host with port: `docker.io`, `localhost:5000`. */
  readonly registry: string;
  /** Path within the registry: `library/debian`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

const pathComponent = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${pathComponent}(?:/${pathComponent})*$`);
const hostPattern =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?$/;
const tagPattern = /^[\w][\w.-]{0,127}$/;

/**
 * Parses `[registry/]repository[:tag][@digest]`. A first component with a dot, a colon or an upper-case
 * letter, or `localhost`, is a registry; else the registry is `docker.io`, and a lone name lies in `library/`.
 * @throws {CairnError} REFERENCE_INVALID, worded as Docker words it.
 */
export function parseReference(text: string): Reference {
  if (text === '') throw invalid(text, 'invalid reference format');
  if (/^[0-9a-f]{64}$/.test(text))
    throw invalid(text, `cannot specify 64-byte hexadecimal strings as a repository name`);
  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf('@');
  if (at >= 0) {
    const digestText = rest.slice(at + 1);
    if (!isDigest(digestText)) throw invalid(text, 'invalid reference format');
    digest = digestText;
    rest = rest.slice(0, at);
  }
  let registry = 'docker.io';
  const slash = rest.indexOf('/');
  const first = rest.slice(0, Math.max(slash, 0));
  if (slash >= 0 && (/[.:]/.test(first) || first === 'localhost' || first.toLowerCase() !== first)) {
    registry = first === 'index.docker.io' ? 'docker.io' : first;
    rest = rest.slice(slash + 1);
    if (!hostPattern.test(registry)) throw invalid(text, 'invalid reference format');
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(':');
  if (colon >= 0) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!tagPattern.test(tag)) throw invalid(text, 'invalid reference format');
  }
  const repository = registry === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest;
  if (repository.toLowerCase() !== repository)
    throw invalid(text, `invalid reference format: repository name (${repository}) must be lowercase`);
  if (!repositoryPattern.test(repository)) throw invalid(text, 'invalid reference format');
  if (registry.length + 1 + repository.length > 255)
    throw invalid(text, 'invalid reference format: repository name must not be more than 255 characters');
  return { registry, repository, ...(tag ? { tag } : {}), ...(digest ? { digest } : {}) };
}

function invalid(text: string, why: string): CairnError {
  return new CairnError('REFERENCE_INVALID', {
    message: `"${text}" is not a valid repository/tag: ${why}`,
    help: 'a reference is [registry/]repository[:tag][@sha256:digest], repository in lower case',
  });
}

/** Adds `:latest` when there is neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag || reference.digest ? reference : { ...reference, tag: 'latest' };
}

/** The short form that Docker shows: `debian:12`, `localhost:5000/app:1`, `user/app@sha256:…`. */
export function familiarName(reference: Reference): string {
  return familiarRepository(reference) + suffix(reference);
}

/** The short form of the repository alone: `debian`, `localhost:5000/app`. */
export function familiarRepository(reference: Reference): string {
  if (reference.registry !== 'docker.io') return `${reference.registry}/${reference.repository}`;
  return reference.repository.startsWith('library/') && !reference.repository.slice(8).includes('/')
    ? reference.repository.slice(8)
    : reference.repository;
}

/** The full form: `docker.io/library/debian:12`. */
export function canonicalName(reference: Reference): string {
  return `${reference.registry}/${reference.repository}${suffix(reference)}`;
}

function suffix(reference: Reference): string {
  return (reference.tag ? `:${reference.tag}` : '') + (reference.digest ? `@${reference.digest}` : '');
}
