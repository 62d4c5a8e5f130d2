import type { HealthConfig, ImageConfig, Index, Manifest, RunConfig } from './image.ts';

/**
 * The one way in which Cairn writes an image config: fields in the order of the image-spec's Go types,
 * maps sorted by key, absent fields left out, no white space. Its digest is the image ID.
 */
export function encodeImageConfig(config: ImageConfig): string {
  return JSON.stringify({
    created: config.created,
    author: config.author || undefined,
    architecture: config.architecture,
    variant: config.variant,
    os: config.os,
    'os.version': config['os.version'],
    config: orderRunConfig(config.config ?? {}),
    rootfs: { type: 'layers', diff_ids: config.rootfs.diff_ids },
    history: config.history?.map((entry) => ({
      created: entry.created,
      created_by: entry.created_by || undefined,
      author: entry.author || undefined,
      comment: entry.comment || undefined,
      empty_layer: entry.empty_layer || undefined,
    })),
  });
}

function orderRunConfig(config: RunConfig): RunConfig {
  return omitUndefined({
    User: config.User || undefined,
    ExposedPorts: sorted(config.ExposedPorts),
    Env: nonEmpty(config.Env),
    Entrypoint: nonEmpty(config.Entrypoint),
    Cmd: nonEmpty(config.Cmd),
    Volumes: sorted(config.Volumes),
    WorkingDir: config.WorkingDir || undefined,
    Labels: sorted(config.Labels),
    StopSignal: config.StopSignal || undefined,
    Healthcheck: config.Healthcheck && orderHealth(config.Healthcheck),
    ArgsEscaped: config.ArgsEscaped || undefined,
    OnBuild: nonEmpty(config.OnBuild),
    Shell: nonEmpty(config.Shell),
  });
}

function orderHealth(health: HealthConfig): HealthConfig {
  return omitUndefined({
    Test: health.Test,
    Interval: health.Interval || undefined,
    Timeout: health.Timeout || undefined,
    StartPeriod: health.StartPeriod || undefined,
    StartInterval: health.StartInterval || undefined,
    Retries: health.Retries || undefined,
  });
}

/** Go writes an empty list and an absent one alike (omitempty). */
function nonEmpty<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list?.length ? list : undefined;
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

function omitUndefined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as Defined<T>;
}

/** Keys in UTF-8 byte order; an empty map is absent. */
function sorted<T>(map: Readonly<Record<string, T>> | undefined): Record<string, T> | undefined {
  if (map === undefined) return undefined;
  const keys = Object.keys(map).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  if (keys.length === 0) return undefined;
  // A null prototype keeps a key such as "__proto__" an ordinary one; integer-like keys still come first
  // in JavaScript's own order, which is just as constant.
  const result: Record<string, T> = Object.create(null);
  for (const key of keys) result[key] = map[key] as T;
  return result;
}

/** The one way in which Cairn writes a manifest. */
export function encodeManifest(manifest: Manifest): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: manifest.mediaType,
    artifactType: manifest.artifactType,
    config: manifest.config,
    layers: manifest.layers,
    subject: manifest.subject,
    annotations: sorted(manifest.annotations),
  });
}

/** The one way in which Cairn writes a list of manifests. */
export function encodeIndex(index: Index): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: index.mediaType,
    artifactType: index.artifactType,
    manifests: index.manifests.map((item) => ({ ...item, annotations: sorted(item.annotations) })),
    subject: index.subject,
    annotations: sorted(index.annotations),
  });
}
