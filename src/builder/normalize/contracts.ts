import type { LayerEntry, Tree } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';

/** A regular file of the layer in the making. */
export type LayerFile = Extract<LayerEntry, { readonly type: 'file' }>;

/** What a rule may know about the layer that a command made. */
export interface LayerView {
  /** Seconds since 1970 that replace later times; `Infinity` when times are kept. */
  readonly epoch: number;
  /** The merged tree below the layer. */
  readonly parent: Tree;
  /** The layer's own entry of a path, as the command left it. */
  entry(path: ByteString): LayerEntry | undefined;
  /** Bytes of a file of the layer, from its start; null when it has more than `limit` bytes. */
  read(file: LayerFile, limit: number): Buffer | null;
  /** The first bytes of a file of the layer. */
  head(file: LayerFile, length: number): Buffer;
  /** The text of a small file of the parent; '' when there is none. */
  parentText(path: string): string;
  /** When the file was written last, in seconds since 1970, before it became the epoch. */
  writtenAt(file: LayerFile): number;
}

/** Other bytes for a file: all of them, or some of the same length in its middle. */
export type Rewrite =
  | { readonly kind: 'content'; readonly bytes: Uint8Array }
  | { readonly kind: 'patch'; readonly offset: number; readonly bytes: Uint8Array };

/** What becomes of a file that a rule names. */
export type NormalizeAction =
  /** It does not enter the layer; what lower layers have there stays as it is. */
  | { readonly kind: 'drop' }
  /** Its bytes are replaced by a function of the layer and the epoch; null leaves it alone. */
  | { readonly kind: 'rewrite'; rewrite(file: LayerFile, layer: LayerView): Rewrite | null };

/**
 * One piece of state that a known tool writes for itself with something of the moment in it, and either rebuilds or does not
 * need. Nothing that a command of the user's chose to write is covered by any rule.
 */
export interface NormalizeRule {
  /** Short and stable: shown to users, and part of docs/reproducibility.md. */
  readonly name: string;
  /** The program that writes the files. */
  readonly tool: string;
  /**
   * Paths below the root: `*` is anything within a name, a first `**` any folder, a last `/**` the folder and everything below
   * it, a first `~/` any account's home.
   */
  readonly paths: readonly string[];
  readonly action: NormalizeAction;
  /** What varies in the files, and why they can be treated so. */
  readonly reason: string;
}

/** A rule that was applied to a path. */
export interface NormalizedPath {
  readonly rule: string;
  readonly path: ByteString;
  readonly action: NormalizeAction['kind'];
}
