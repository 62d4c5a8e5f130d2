import type { Descriptor, Digest, ImageId, Platform, Reference } from '../oci/index.ts';
import type { Diagnostic } from '../parser/index.ts';
import type { NetworkMode, ResourceLimit, SandboxKind } from '../run/contracts.ts';
import type { ImageRecord, Store } from '../store/contracts.ts';
import type { Annotation, BuildOutput } from './export/output.ts';
import type { NormalizedPath } from './normalize/index.ts';
import type { RemoteCache } from './remote-cache/index.ts';

/** Where a build's files come from. */
export type ContextSource =
  /** A local folder, read in place. */
  | { readonly kind: 'dir'; readonly path: string }
  /** No files at all (`cairn build -` with a Dockerfile on standard input). */
  | { readonly kind: 'empty' }
  /** A git repository, as `contextOf` reads a URL. Its .dockerignore does not count, as in BuildKit. */
  | { readonly kind: 'git'; readonly url: string; readonly keepGitDir?: boolean }
  /** A URL: a tar (compressed or not) is the context, anything else the Dockerfile. */
  | { readonly kind: 'http'; readonly url: string }
  /** A stream of bytes (standard input): a tar is the context, anything else the Dockerfile. */
  | { readonly kind: 'stream'; readonly bytes: AsyncIterable<Uint8Array> };

/** A context that is files, without being read from a stream. */
export type FileContextSource = Exclude<ContextSource, { readonly kind: 'stream' }>;

/** What a name means in FROM and `--from`, over stages and images (`--build-context`). */
export type NamedContextSource =
  | FileContextSource
  /** An image of the store, or `scratch`. */
  | { readonly kind: 'image'; readonly name: string }
  /** An image in an OCI layout on the host: by tag or digest, else the only one. */
  | {
      readonly kind: 'oci-layout';
      readonly path: string;
      readonly tag?: string;
      readonly digest?: Digest;
    };

/** Where the Dockerfile comes from. */
export type DockerfileSource =
  /**
   * A file: on the host for a local context or when absolute, else in the context. The default is `Dockerfile`, then
   * `dockerfile`, in the context.
   */
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'text'; readonly text: string | Uint8Array; readonly name: string };

/** How times in new layers are chosen. */
export type Timestamp =
  /** Newer times become this one (seconds since 1970); it is also `created` of config and history. */
  | { readonly kind: 'epoch'; readonly seconds: number }
  /** File times are kept (and become part of cache keys); `created` is 1980-01-01T00:00:01Z. */
  | { readonly kind: 'preserve' };

/** 1980-01-01T00:00:01Z: the oldest time that zip, and so wheels and jars, can hold. */
export const defaultEpoch = 315532801;

/** Where a secret comes from. */
export type SecretSource =
  /** A file on the host, read when a RUN first wants it; at most 500 KiB. */
  { readonly kind: 'file'; readonly path: string } | { readonly kind: 'bytes'; readonly bytes: Uint8Array };

export interface BuildOptions {
  readonly store: Store;
  readonly context: ContextSource;
  /** By name as in FROM (`debian:12`, without `:latest`), also with `::os/arch` for one platform. */
  readonly namedContexts?: Readonly<Record<string, NamedContextSource>>;
  readonly dockerfile?: DockerfileSource;
  readonly tags?: readonly Reference[];
  /** NAME to value; a name without a value was looked up in the client's environment by the caller. */
  readonly buildArgs?: Readonly<Record<string, string>>;
  /** Stage name (any case) or index; the last stage when absent. */
  readonly target?: string;
  /** Execute every step although its result is known. */
  readonly noCache?: boolean;
  /** Stages (names) to execute although results are known. */
  readonly noCacheFilter?: readonly string[];
  /** Fail at the first step whose result is not known (NOT_CACHED), executing and packing nothing. */
  readonly requireCached?: boolean;
  /** Added to the final config, over the Dockerfile's. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The host's when absent. */
  readonly platform?: Platform;
  /** Instead of `platform`: one image for each, joined in a list of platforms when there are several. */
  readonly platforms?: readonly Platform[];
  /** What the build leaves behind; the image in the store when absent or empty. */
  readonly outputs?: readonly BuildOutput[];
  /** Of manifests, lists of platforms and their descriptors. */
  readonly annotations?: readonly Annotation[];
  /** Everything on the base becomes one layer. */
  readonly squash?: boolean;
  /** Network of RUN when the instruction names none: the host's by default. */
  readonly network?: NetworkMode;
  readonly extraHosts?: readonly (readonly [name: string, ip: string])[];
  readonly shmSizeBytes?: number;
  /** Resource limits of RUN (`--ulimit`). */
  readonly limits?: readonly ResourceLimit[];
  /**
   * False: this process may make no mounts. A build that would execute a RUN then ends with NAMESPACE_NEEDED before any step is begun,
   * and may be begun again in a user namespace.
   */
  readonly canMount?: boolean;
  /** Which sandbox runs RUN; chosen when absent. */
  readonly sandbox?: SandboxKind;
  /** PATH and the like of the host, for finding runtimes. */
  readonly hostEnv?: Readonly<Record<string, string | undefined>>;
  /** `defaultEpoch` when absent. */
  readonly timestamp?: Timestamp;
  /** 0664 and 0775 of context files count as 0644 and 0755 unless 'exact'. */
  readonly contextModes?: 'normal' | 'exact';
  /** Whether what known tools write for themselves is taken out of the layers of RUN (docs/reproducibility.md): yes, unless false. */
  readonly normalize?: boolean;
  /** `frozen`: programs of RUN see one constant time, the epoch, where libfaketime can be loaded. The machine's when absent. */
  readonly clock?: 'real' | 'frozen';
  /** Commands run on, and count, so many CPUs; all that this process may use when absent. */
  readonly visibleCpus?: number;
  /** RUN steps at once; by default the number of CPUs, at least 4. */
  readonly jobs?: number;
  /** Entitlements granted to the Dockerfile: `network.host`, `security.insecure`. */
  readonly allow?: readonly string[];
  /** By id, for `RUN --mount=type=secret`. Contents are never stored, hashed or shown. */
  readonly secrets?: Readonly<Record<string, SecretSource>>;
  /** By id, for `RUN --mount=type=ssh`: the absolute path of an agent's socket, or those of private keys. */
  readonly ssh?: Readonly<Record<string, readonly string[]>>;
  /**
   * Brings an image into the store from its registry, for FROM and --from; absent: images must be in the store.
   * @throws {CairnError} what stopped it
   */
  readonly pull?: (reference: Reference, platform: Platform) => Promise<ImageRecord>;
  /** Results of other machines, asked for what the store has not (`--cache-from`); it also notes what the build does. */
  readonly remoteCache?: RemoteCache;
  /** Asks the registry for what a tag is now, although an image of that name is in the store (`--pull`). */
  readonly refreshBases?: boolean;
  /**
   * Execute each RUN again in a varied environment when all is done, and fail (NOT_REPRODUCIBLE) before anything is written when
   * a layer differs.
   */
  readonly verify?: boolean;
  /** A lock file on the host: images that it names are taken as it says, others are added to it. */
  readonly lock?: { readonly path: string };
  /** Called synchronously for each event. */
  readonly onEvent?: (event: BuildEvent) => void;
  readonly signal?: AbortSignal;
  /** The clock, for durations and record dates only; nothing of it enters a digest. */
  readonly now?: () => number;
}

export interface BuildResult {
  /** Of the result; for a list of platforms the image of this machine's, else the first. */
  readonly imageId: ImageId;
  /** Of the image's manifest, or of the list of platforms. */
  readonly manifestDigest: Digest;
  /** Of what `manifestDigest` names, with its annotations. */
  readonly descriptor: Descriptor;
  /** One for each platform, in their order. */
  readonly images: readonly {
    readonly platform: Platform;
    readonly imageId: ImageId;
    readonly manifestDigest: Digest;
  }[];
  /** Names that outputs gave, without repetition. */
  readonly names: readonly Reference[];
  /** An output holds an image: not only files. */
  readonly hasImage: boolean;
  readonly warnings: readonly Diagnostic[];
  /** Steps that took their layer from the cache, and all that could have. */
  readonly cachedSteps: number;
  readonly totalSteps: number;
}

/** A step that a user sees: a base image, or an instruction that makes a layer. */
export interface BuildStep {
  /** Counts from 1 over the whole build. */
  readonly id: number;
  /** Stage name, `stage-N`, or empty when there is only one stage. */
  readonly stage: string;
  /** Place among the steps of its stage, from 1. */
  readonly index: number;
  readonly total: number;
  /** The instruction's text: `RUN make`. */
  readonly name: string;
}

/** Whether the cache has a step's result: `unknown` when that depends on a result which it has not. */
export type CacheVerdict = 'hit' | 'miss' | 'unknown';

/** What a build would do with a step. */
export interface StepForecast {
  readonly step: BuildStep;
  readonly verdict: CacheVerdict;
  /** Why it is not known, or where the known result comes from: one line. */
  readonly reason: string;
}

/** What happens during a build; `at` is milliseconds on the clock given in the options. */
export type BuildEvent =
  | { readonly type: 'plan'; readonly steps: readonly BuildStep[] }
  | { readonly type: 'step-start'; readonly id: number; readonly at: number }
  | {
      readonly type: 'step-output';
      readonly id: number;
      readonly at: number;
      readonly stream: 'stdout' | 'stderr';
      readonly chunk: Uint8Array;
    }
  | {
      readonly type: 'step-end';
      readonly id: number;
      readonly at: number;
      readonly cached: boolean;
      /** Why it was not cached (one line), or where a cached result comes from. */
      readonly note?: string;
      /** In a forecast: known; to be made; or dependent on what is to be made. */
      readonly verdict?: CacheVerdict;
    }
  /** What was taken out of the step's layer, or replaced in it, by which rule. */
  | {
      readonly type: 'step-normalized';
      readonly id: number;
      readonly at: number;
      readonly applied: readonly NormalizedPath[];
    }
  | { readonly type: 'step-error'; readonly id: number; readonly at: number; readonly error: unknown }
  | { readonly type: 'warning'; readonly diagnostic: Diagnostic }
  | { readonly type: 'export'; readonly imageId: ImageId; readonly tags: readonly string[] };
