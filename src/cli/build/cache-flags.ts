import type { CacheSource, CacheTarget } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import { isDigest, parseReference, type Reference } from '../../oci/index.ts';
import { closestName, parseKeyValues } from '../flags/index.ts';
import type { Host } from '../host.ts';
import { hostPath } from './build-options.ts';

/** Docker's other kinds of caches, which need services of their own. */
const otherTypes: readonly string[] = ['gha', 's3', 'azblob'];

/**
 * `--cache-from`, as buildx reads it: `type=registry,ref=…`, `type=local,src=…`, or an image's name alone.
 * @throws {CairnError} CACHE_INVALID
 */
export function cacheSourcesOf(values: readonly string[], host: Host): readonly CacheSource[] {
  return values.flatMap((text) => {
    const options = new CacheOptions('--cache-from', text, 'registry');
    const source = sourceOf(options, host);
    options.refuseOthers();
    return source;
  });
}

/** `--cache-to`: `type=registry,ref=…`, `type=local,dest=…`, `type=inline`. @throws {CairnError} CACHE_INVALID */
export function cacheTargetsOf(values: readonly string[], host: Host): readonly CacheTarget[] {
  return values.map((text) => {
    const options = new CacheOptions('--cache-to', text, 'registry');
    const target = targetOf(options, host);
    options.refuseOthers();
    return target;
  });
}

function sourceOf(options: CacheOptions, host: Host): readonly CacheSource[] {
  switch (options.type) {
    case 'registry':
      options.ignore('registry.insecure');
      return [{ kind: 'registry', reference: options.reference() }];
    case 'local': {
      const digest = options.take('digest');
      if (digest !== undefined && !isDigest(digest)) throw options.invalid(`invalid digest "${digest}"`);
      const path = hostPath(host, options.required('src'));
      const tag = options.take('tag') ?? 'latest';
      return [{ kind: 'local', path, tag, ...(digest === undefined ? {} : { digest }) }];
    }
    // The cache of an image is found by the image's name: there is nothing else to say.
    case 'inline':
      throw options.invalid('an inline cache is read from its image', 'write type=registry,ref=IMAGE');
    default:
      throw options.unknownType();
  }
}

function targetOf(options: CacheOptions, host: Host): CacheTarget {
  const ignoreError = options.flag('ignore-error') ?? false;
  if (options.type === 'inline') return { kind: 'inline', ignoreError };
  // Cairn's caches are image manifests of OCI's kind, which every registry keeps; the other form is nothing but another wrapping.
  options.flag('image-manifest');
  options.flag('oci-mediatypes');
  options.flag('force-compression');
  options.ignore('registry.insecure');
  const mode = options.take('mode') ?? 'min';
  if (mode !== 'min' && mode !== 'max')
    throw options.invalid(`invalid mode "${mode}"`, 'modes are min and max');
  const shared = { mode, compression: compressionOf(options), ignoreError } as const;
  switch (options.type) {
    case 'registry':
      return { kind: 'registry', reference: options.reference(), ...shared };
    case 'local': {
      const path = hostPath(host, options.required('dest'));
      return { kind: 'local', path, tag: options.take('tag') ?? 'latest', ...shared };
    }
    default:
      throw options.unknownType();
  }
}

function compressionOf(options: CacheOptions): 'gzip' | 'zstd' | 'none' {
  if (options.take('compression-level') !== undefined)
    throw options.invalid('the level of compression is fixed', 'leave compression-level out');
  const type = options.take('compression') ?? 'gzip';
  if (type === 'uncompressed') return 'none';
  if (type === 'gzip' || type === 'zstd') return type;
  throw options.invalid(`unsupported compression "${type}"`, 'types are uncompressed, gzip and zstd');
}

/** The options of one flag, each to be taken once; what nobody takes is a mistake. */
class CacheOptions {
  readonly type: string;
  readonly #flag: string;
  readonly #text: string;
  readonly #values = new Map<string, string>();
  readonly #taken = new Set<string>();

  constructor(flag: string, text: string, defaultType: string) {
    this.#flag = flag;
    this.#text = text;
    const fields = parseKeyValues(text);
    // buildx: words without "=" are names of images.
    if (fields.length > 0 && fields.every(([, value]) => value === undefined)) {
      this.#values.set('ref', text);
      if (fields.length > 1) throw this.invalid('there is more than one name', 'repeat the flag for each');
    } else
      for (const [key, value] of fields) {
        if (value === undefined) throw this.invalid(`invalid value "${key}"`, 'options are KEY=VALUE');
        this.#values.set(key, value);
      }
    const type = this.take('type');
    if (type === undefined && !this.#values.has('ref'))
      throw this.invalid('type is required', 'types are registry, local and inline');
    this.type = type ?? defaultType;
  }

  take(key: string): string | undefined {
    this.#taken.add(key);
    return this.#values.get(key);
  }

  required(key: string): string {
    const value = this.take(key);
    if (value === undefined || value === '')
      throw this.invalid(`type=${this.type} requires ${key}`, `add ${key}=…`);
    return value;
  }

  reference(): Reference {
    const text = this.required('ref');
    const reference = parseReference(text);
    if (this.#flag === '--cache-to' && reference.digest !== undefined)
      throw this.invalid('a cache is written to a tag, not to a digest', 'give ref=NAME:TAG');
    return reference;
  }

  flag(key: string): boolean | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
    if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
    throw this.invalid(`non-bool value "${value}" for ${key}`, 'write true or false');
  }

  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.#taken.add(key);
  }

  refuseOthers(): void {
    for (const key of this.#values.keys()) {
      if (this.#taken.has(key)) continue;
      const near = closestName(key, [...this.#taken]);
      throw this.invalid(
        `there is no option "${key}" for this type`,
        near ? `did you mean "${near}"?` : `options are ${[...this.#taken].sort().join(', ')}`,
      );
    }
  }

  unknownType(): CairnError {
    const why = otherTypes.includes(this.type) ? 'is not supported' : 'is unknown';
    return this.invalid(`the cache type "${this.type}" ${why}`, 'types are registry, local and inline');
  }

  invalid(why: string, help?: string): CairnError {
    return new CairnError('CACHE_INVALID', {
      message: `${this.#flag} ${this.#text}: ${why}`,
      exitCode: 2,
      ...(help ? { help } : {}),
    });
  }
}
