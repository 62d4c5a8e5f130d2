import type { DiffId, HistoryEntry, ImageConfig, Platform, RunConfig } from '../oci/index.ts';
import { cleanPath } from './copy/resolve-path.ts';
import { formatTime } from './epoch.ts';

/** What BuildKit's frontend writes into each history entry; scripts look for it. */
const historyComment = 'buildkit.dockerfile.v0';
/** For layers of a base image that its own history does not explain. */
const exporterComment = 'buildkit.exporter.image.v0';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const defaultShell: readonly string[] = ['/bin/sh', '-c'];

/** An ARG that a stage has declared, with the value in force ('' when it has none). */
export interface DeclaredArg {
  readonly name: string;
  readonly value: string;
}

/** A stage after some of its instructions: an image, and what later instructions see. Immutable. */
export interface StageState {
  readonly platform: Platform;
  /** Base layer first. */
  readonly layers: readonly DiffId[];
  /** What made each of them, for people: `RUN make`, `FROM debian:12@sha256:…`. */
  readonly origins?: readonly string[];
  readonly author?: string;
  readonly osVersion?: string;
  readonly config: RunConfig;
  readonly history: readonly HistoryEntry[];
  /** What words expand to and RUN sees: the config's Env, then ENV and ARG of the stage in order. */
  readonly env: ReadonlyMap<string, string>;
  readonly args: readonly DeclaredArg[];
  /** A CMD stands in this stage: ENTRYPOINT then keeps it. */
  readonly hasCmd: boolean;
}

/** FROM scratch: no layers, PATH, working folder `/`. */
export function scratchState(platform: Platform): StageState {
  return begin({ platform, layers: [], config: { WorkingDir: '/' }, history: [] });
}

/** FROM an image. Its OnBuild triggers have been taken out by the planner and are not inherited. */
export function imageState(image: ImageConfig, platform: Platform): StageState {
  return begin({
    platform,
    layers: image.rootfs.diff_ids,
    ...(image.author ? { author: image.author } : {}),
    ...(image['os.version'] ? { osVersion: image['os.version'] } : {}),
    config: withoutTriggers(image.config ?? {}),
    history: image.history ?? [],
  });
}

/** FROM an earlier stage: file system, config, ENV and the values of declared ARGs. */
export function childState(parent: StageState): StageState {
  return begin({ ...parent, config: withoutTriggers(parent.config) }, parent.env, parent.args);
}

type Inherited = Omit<StageState, 'env' | 'args' | 'hasCmd'>;

function begin(
  from: Inherited,
  inheritedEnv: ReadonlyMap<string, string> = new Map(),
  args: readonly DeclaredArg[] = [],
): StageState {
  const list = from.config.Env ?? [];
  const withPath = list.some((entry) => nameOf(entry) === 'PATH') ? list : [...list, `PATH=${defaultPath}`];
  const env = new Map(inheritedEnv);
  for (const entry of withPath) env.set(nameOf(entry), entry.slice(nameOf(entry).length + 1));
  return { ...from, config: { ...from.config, Env: withPath }, env, args, hasCmd: false };
}

function withoutTriggers(config: RunConfig): RunConfig {
  const { OnBuild: _, ...rest } = config;
  return rest;
}

function nameOf(entry: string): string {
  const at = entry.indexOf('=');
  return at < 0 ? entry : entry.slice(0, at);
}

/** Sets a variable of the config, in place when it exists, and of what instructions see. */
export function withEnv(state: StageState, name: string, value: string): StageState {
  const list = state.config.Env ?? [];
  const at = list.findIndex((entry) => nameOf(entry) === name);
  const entry = `${name}=${value}`;
  const Env = at < 0 ? [...list, entry] : list.with(at, entry);
  return { ...withVariable(state, name, value), config: { ...state.config, Env } };
}

/** Sets a variable for later instructions only (ARG). */
export function withVariable(state: StageState, name: string, value: string): StageState {
  return { ...state, env: new Map(state.env).set(name, value) };
}

export function withConfig(state: StageState, change: Partial<RunConfig>): StageState {
  return { ...state, config: { ...state.config, ...change } };
}

/** Appends a history entry; `layer` false marks it as one without a layer. */
export function withHistory(
  state: StageState,
  createdBy: string,
  options: { readonly epoch: number; readonly layer?: boolean },
): StageState {
  const entry: HistoryEntry = {
    created: formatTime(options.epoch),
    created_by: createdBy,
    comment: historyComment,
    ...(options.layer ? {} : { empty_layer: true }),
  };
  return { ...state, history: [...state.history, entry] };
}

/** Puts a layer on top, with its history entry. */
export function withLayer(state: StageState, layer: DiffId, createdBy: string, epoch: number): StageState {
  return withHistory({ ...state, layers: [...state.layers, layer] }, createdBy, { epoch, layer: true });
}

/** Notes what made the layers that are new. */
export function withOrigin(state: StageState, origin: string): StageState {
  const { layers, origins = [] } = state;
  if (origins.length === layers.length) return state;
  return { ...state, origins: layers.map((_, i) => origins[i] ?? origin) };
}

/** The argv of a shell-form command. */
export function shellOf(state: StageState): readonly string[] {
  return state.config.Shell?.length ? state.config.Shell : defaultShell;
}

/** The working folder: absolute and cleaned, however the config has it. */
export function workingDirOf(state: StageState): string {
  return `/${cleanPath(state.config.WorkingDir ?? '')}`;
}

/** The image that a stage ends as. */
export function toImageConfig(
  state: StageState,
  options: { readonly epoch: number; readonly labels: Readonly<Record<string, string>> },
): ImageConfig {
  const labels = { ...state.config.Labels, ...options.labels };
  return {
    created: formatTime(options.epoch),
    ...(state.author ? { author: state.author } : {}),
    architecture: state.platform.architecture,
    ...(state.platform.variant ? { variant: state.platform.variant } : {}),
    os: state.platform.os,
    ...(state.osVersion ? { 'os.version': state.osVersion } : {}),
    config: { ...state.config, ...(Object.keys(labels).length > 0 ? { Labels: labels } : {}) },
    rootfs: { type: 'layers', diff_ids: state.layers },
    history: alignHistory(state, options.epoch),
  };
}

/** One entry with a layer for each layer: a base whose history says less is completed, one that says more is cut. */
function alignHistory(state: StageState, epoch: number): readonly HistoryEntry[] {
  const layered = state.history.filter((entry) => !entry.empty_layer).length;
  const missing = state.layers.length - layered;
  if (missing > 0) {
    const filler = { created: formatTime(epoch), comment: exporterComment };
    return [...Array.from({ length: missing }, () => filler), ...state.history];
  }
  let surplus = -missing;
  return state.history.map((entry) => {
    if (entry.empty_layer || surplus === 0) return entry;
    surplus--;
    return { ...entry, empty_layer: true };
  });
}
