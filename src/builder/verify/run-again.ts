import type { SandboxKind } from '../../run/contracts.ts';
import type { LayerStore, Toc } from '../../store/contracts.ts';

/** How the environment of a command is to differ from that of a build. What is absent is as always. */
export interface RunVariation {
  readonly hostname?: string;
  /** libfaketime on the host, and what it does: moves the clock on, or holds it at one time (seconds since 1970). */
  readonly clock?: { readonly library: string; readonly shift?: number; readonly frozenAt?: number };
  readonly cpus?: number;
  readonly sandbox?: SandboxKind;
  /** Process IDs go on from here, where the sandbox can have it so. */
  readonly lastPid?: number;
  /** Of the process that starts the command. */
  readonly umask?: number;
  readonly network?: 'none';
  /** A folder in which the command's folders are made, perhaps on another file system; the caller removes it. */
  readonly folder?: string;
}

/**
 * Executes a RUN once more, in another environment, and packs what it changed.
 * @param into - where the layer is written; the build's own store stays as it is.
 * @throws {CairnError} RUN_FAILED and what a RUN throws
 */
export type RunAgain = (variation: RunVariation, into: LayerStore) => Promise<Toc>;

/** The build's own environment: what runs with exactly this is the build itself. */
export const noVariation: RunVariation = Object.freeze({});
