import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import * as v from 'valibot';
import { CairnError } from '../errors/index.ts';
import {
  canonicalName,
  type Digest,
  familiarName,
  formatPlatform,
  type ImageId,
  isDigest,
  normalizePlatform,
  type Platform,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../oci/index.ts';
import type { ImageRecord } from '../store/contracts.ts';

/** What a name meant when it was locked, for one platform. */
export interface LockedImage {
  /** In full, with its tag: `docker.io/library/debian:12`. */
  readonly name: string;
  /** `linux/amd64`. */
  readonly platform: string;
  /** The image's ID: the same however its layers are compressed. */
  readonly image: ImageId;
  /** What the registry calls it, of a list of platforms or of a manifest; for an image that came from no registry the store's. */
  readonly manifest: Digest;
}

const digest = v.custom<Digest>(isDigest, 'not a sha256 digest');
const lockVersion = 1;
const schema = v.strictObject({
  version: v.literal(lockVersion),
  images: v.array(
    v.strictObject({
      name: v.string(),
      platform: v.pipe(v.string(), v.regex(/^[^/\s]+\/[^/\s]+(?:\/[^/\s]+)?$/, 'not a platform')),
      image: v.custom<ImageId>(isDigest, 'not an image ID'),
      manifest: digest,
    }),
  ),
});

/**
 * A lock file: which image each name of FROM and --from stood for, so that a tag that moves does not move the build. JSON, sorted by name and
 * platform: equal contents give equal bytes.
 */
export class LockFile {
  readonly path: string;
  readonly #images: Map<string, LockedImage>;
  #isChanged = false;

  private constructor(path: string, images: readonly LockedImage[]) {
    this.path = path;
    this.#images = new Map(images.map((image) => [keyOf(image.name, image.platform), image]));
  }

  /** The file at `path`, an empty one when there is none. @throws {CairnError} LOCK_INVALID */
  static read(path: string): LockFile {
    const text = readIfExists(path);
    if (text === null) return new LockFile(path, []);
    const result = v.safeParse(schema, parseJson(path, text));
    if (!result.success) {
      const [issue] = result.issues;
      throw invalid(path, `at "${v.getDotPath(issue) ?? '(root)'}": ${issue.message}`);
    }
    return new LockFile(path, result.output.images);
  }

  /** In the order of the file. */
  get images(): readonly LockedImage[] {
    return [...this.#images.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, image]) => image);
  }

  find(reference: Reference, platform: Platform): LockedImage | null {
    return this.#images.get(keyOf(lockName(reference), platformText(platform))) ?? null;
  }

  /** Notes what a name means now; nothing for a name with a digest, which means one thing for ever. */
  set(reference: Reference, platform: Platform, image: ImageRecord): void {
    if (reference.digest !== undefined) return;
    const entry = lockedImage(reference, platform, image);
    const key = keyOf(entry.name, entry.platform);
    const known = this.#images.get(key);
    if (known?.image === entry.image && known.manifest === entry.manifest) return;
    this.#images.set(key, entry);
    this.#isChanged = true;
  }

  /** Writes what has changed, as a whole or not at all. @throws {CairnError} LOCK_INVALID */
  save(): void {
    if (!this.#isChanged) return;
    const text = `${JSON.stringify({ version: lockVersion, images: this.images }, null, 2)}\n`;
    const temporary = `${this.path}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, text);
      const fd = openSync(temporary, 'r');
      fsyncSync(fd);
      closeSync(fd);
      renameSync(temporary, this.path);
    } catch (cause) {
      rmSync(temporary, { force: true });
      throw new CairnError('LOCK_INVALID', {
        message: `cannot write the lock file ${this.path}: ${(cause as NodeJS.ErrnoException).code ?? cause}`,
        help: 'name another one with --lock-file',
        cause,
      });
    }
    this.#isChanged = false;
  }
}

/** How a locked image is asked for: by what the registry calls it. */
export function lockedReference({ name, manifest }: LockedImage): Reference {
  const { tag: _, ...repository } = parseReference(name);
  return { ...repository, digest: manifest };
}

/** What an image is to be locked as. */
export function lockedImage(reference: Reference, platform: Platform, image: ImageRecord): LockedImage {
  const repository = canonicalName({ registry: reference.registry, repository: reference.repository });
  const inRegistry = image.repoDigests
    .map((name) => parseReference(name))
    .find(({ registry, repository: path }) => canonicalName({ registry, repository: path }) === repository);
  return {
    name: lockName(reference),
    platform: platformText(platform),
    image: image.id,
    manifest: inRegistry?.digest ?? image.manifestDigest,
  };
}

function lockName(reference: Reference): string {
  return canonicalName(withDefaultTag(reference));
}

function platformText(platform: Platform): string {
  return formatPlatform(normalizePlatform(platform));
}

function keyOf(name: string, platform: string): string {
  return `${name}\n${platform}`;
}

/** The error for a locked image that is nowhere to be had. */
export function lockedImageMissing({ name, image }: LockedImage, path: string, cause?: unknown): CairnError {
  const shown = familiarName(parseReference(name));
  return new CairnError('LOCK_IMAGE_MISSING', {
    message: `image "${shown}" is locked to ${image}, which is not in the store and could not be had`,
    notes: [{ message: `${path} says so` }],
    help: `bring that image in, or take what the name means now: cairn lock update ${shown}`,
    ...(cause === undefined ? {} : { cause }),
  });
}

function readIfExists(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw invalid(path, code ?? String(error), error);
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(path, 'it is not JSON', cause);
  }
}

function invalid(path: string, reason: string, cause?: unknown): CairnError {
  return new CairnError('LOCK_INVALID', {
    message: `the lock file ${path} cannot be used: ${reason}`,
    help: 'repair it, or remove it and build with --lock to make it anew',
    ...(cause === undefined ? {} : { cause }),
  });
}
