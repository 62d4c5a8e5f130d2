import { familiarName, formatPlatform, type Platform, parseReference } from '../oci/index.ts';
import type { NamedContextSource } from './contracts.ts';

/** An image in an OCI layout on the host. */
export type LayoutSource = Extract<NamedContextSource, { readonly kind: 'oci-layout' }>;

/** Names that a build gives a meaning of its own. Compared as image names, without `:latest` (row K09). */
export class NamedSources {
  readonly #sources: ReadonlyMap<string, NamedContextSource>;

  constructor(sources: Readonly<Record<string, NamedContextSource>>) {
    this.#sources = new Map(
      Object.entries(sources).map(([key, source]) => {
        const [name = '', platform] = key.split('::', 2);
        const normal = contextName(name) ?? name;
        return [platform === undefined ? normal : `${normal}::${platform}`, source];
      }),
    );
  }

  /** What a name means, for a platform; null for a name that was not given. */
  find(name: string, platform: Platform): NamedContextSource | null {
    if (this.#sources.size === 0 || /^(?:scratch|context)$/i.test(name)) return null;
    const normal = contextName(name);
    if (normal === null) return null;
    return this.#sources.get(`${normal}::${formatPlatform(platform)}`) ?? this.#sources.get(normal) ?? null;
  }
}

/** The short form of an image name without `:latest`; null for what cannot be one. */
export function contextName(text: string): string | null {
  try {
    return familiarName(parseReference(text)).replace(/:latest$/, '');
  } catch {
    return null;
  }
}
