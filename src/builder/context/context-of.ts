import { statSync } from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { isDigest } from '../../oci/index.ts';
import { redactUrl } from '../../registry/http/index.ts';
import type { FileContextSource, NamedContextSource } from '../contracts.ts';
import { contextName } from '../named-sources.ts';
import { parseSourceUrl } from '../remote/source-url.ts';

/**
 * What the last argument of `build` names: a folder that exists, else a git repository or a URL (rows K05 to K07), else a folder.
 * @throws {CairnError} GIT_URL_INVALID
 */
export function contextOf(text: string): FileContextSource {
  if (statSync(text, { throwIfNoEntry: false })?.isDirectory()) return { kind: 'dir', path: text };
  const source = parseSourceUrl(text, { forContext: true });
  return source.kind === 'local' ? { kind: 'dir', path: text } : { kind: source.kind, url: text };
}

/**
 * Reads a value of `--build-context`: `name=SOURCE`, where a source is a folder, `docker-image://REF`,
 * `oci-layout://PATH[:TAG][@DIGEST]`, an http(s) URL or a git repository (row K08).
 * @throws {CairnError} NAMED_CONTEXT_INVALID, GIT_URL_INVALID
 */
export function namedContextOf(text: string): { readonly name: string; readonly source: NamedContextSource } {
  const equals = text.indexOf('=');
  const name = text.slice(0, Math.max(equals, 0));
  const value = text.slice(equals + 1);
  if (name === '' || value === '') throw invalid(text, 'must have the form NAME=SOURCE');
  const [base = '', platform] = name.split('::', 2);
  const normal = contextName(base);
  if (normal === null) throw invalid(text, `"${base}" is not an image or stage name`);
  return { name: platform === undefined ? normal : `${normal}::${platform}`, source: sourceOf(text, value) };
}

function sourceOf(text: string, value: string): NamedContextSource {
  const [, scheme, rest = ''] = /^(docker-image|oci-layout):\/\/(.*)$/s.exec(value) ?? [];
  if (scheme === 'docker-image') return { kind: 'image', name: rest };
  if (scheme === 'oci-layout') return layoutOf(text, rest);
  if (/^[a-z-]+:\/\//.test(value) && !/^(?:https?|git|ssh|file):/.test(value))
    throw invalid(text, 'is of a kind that is not known');
  const source = contextOf(value);
  if (source.kind === 'dir' && !statSync(value, { throwIfNoEntry: false })?.isDirectory())
    throw invalid(text, `"${value}" is not a directory`);
  return source;
}

function layoutOf(text: string, rest: string): NamedContextSource {
  const at = rest.lastIndexOf('@');
  const digest = at < 0 ? undefined : rest.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw invalid(text, `"${digest}" is not a digest`);
  const place = at < 0 ? rest : rest.slice(0, at);
  const colon = place.lastIndexOf(':');
  const hasTag = colon > place.lastIndexOf('/');
  const path = hasTag ? place.slice(0, colon) : place;
  if (path === '') throw invalid(text, 'has no path');
  return {
    kind: 'oci-layout',
    path,
    ...(hasTag ? { tag: place.slice(colon + 1) } : {}),
    ...(digest === undefined ? {} : { digest }),
  };
}

function invalid(text: string, reason: string): CairnError {
  const shown = text.replace(/=.*/s, (value) => `=${redactUrl(value.slice(1))}`);
  return new CairnError('NAMED_CONTEXT_INVALID', {
    message: `--build-context ${shown}: ${reason}`,
    help: 'write NAME=FOLDER, or NAME= followed by docker-image://REF, oci-layout://PATH, an http(s) URL or a git repository',
  });
}
