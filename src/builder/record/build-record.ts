import type { DiffId, Digest, Platform } from '../../oci/index.ts';
import type { StepPlace } from './build-trail.ts';
import type { UsedFile } from './used-files.ts';

/** An image that a build took files or a base from. */
export interface RecordedImage {
  /** As in the Dockerfile, with a tag: `debian:12`. */
  readonly name: string;
  readonly platform: Platform;
  /** Its manifest in the store where it was built: the layers uncompressed. */
  readonly manifestDigest: Digest;
  readonly imageId: Digest;
}

/** A file of a context that was used. */
export interface RecordedFile extends UsedFile {
  /** Name of the named context; '' for the build context. */
  readonly context: string;
}

/** Options of a build that can change its result, as plain data. */
export type RecordedOptions = Readonly<Record<string, RecordedValue>>;

export type RecordedValue =
  | string
  | number
  | boolean
  | readonly RecordedValue[]
  | { readonly [name: string]: RecordedValue };

/**
 * All that an image's bytes depend on, so that it can be built again: what a build record (docs/build-record.md) says. Nothing of the machine,
 * its user, the time or paths outside the context is in it.
 */
export interface BuildRecord {
  readonly dockerfile: {
    /** Without folders. */
    readonly name: string;
    readonly text: string;
  };
  /** Kind of the build context, and its URL if it has one, without credentials. */
  readonly context: { readonly kind: string; readonly url?: string };
  readonly target?: string;
  readonly platform: Platform;
  /** Build arguments that the Dockerfile declares, and those that steer the builder. */
  readonly arguments: Readonly<Record<string, string>>;
  /** Names of arguments that were given, but whose values are left out because of what their names say. */
  readonly withheldArguments: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly options: RecordedOptions;
  /** What names of `--build-context` stood for. */
  readonly namedContexts: Readonly<Record<string, string>>;
  readonly images: readonly RecordedImage[];
  readonly files: readonly RecordedFile[];
  /** The layers that the steps gave, those of the stages before the last one too. */
  readonly steps: readonly RecordedStep[];
  /** Version of cache keys and of the layer format (cache-key.ts). */
  readonly format: string;
}

export interface RecordedStep extends StepPlace {
  readonly layer: DiffId;
}
