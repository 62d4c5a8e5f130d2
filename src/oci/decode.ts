import * as v from 'valibot';
import { CairnError } from '../errors/index.ts';
import { isDigest } from './digest.ts';
import type { ImageConfig, Index, Manifest } from './image.ts';

// Everything here is hostile input: bounded in size by the reader, checked in shape here, once.
// Unknown fields are kept out (v.object drops them) except where the spec asks to preserve them.

const digest = v.custom<string>(isDigest, 'not a sha256 digest');
const size = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const strings = v.array(v.string());
const stringMap = v.record(v.string(), v.string());
const emptyMap = v.record(v.string(), v.looseObject({}));
/** Go writes absent slices and maps as null. */
const orNull = <T extends v.GenericSchema>(schema: T) =>
  v.optional(
    v.pipe(
      v.nullable(schema),
      v.transform((value) => value ?? undefined),
    ),
  );

const platform = v.object({
  os: v.string(),
  architecture: v.string(),
  variant: v.optional(v.string()),
  'os.version': v.optional(v.string()),
});

const descriptor = v.object({
  mediaType: v.string(),
  digest,
  size,
  urls: orNull(strings),
  annotations: orNull(stringMap),
  platform: v.optional(platform),
  artifactType: v.optional(v.string()),
});

const manifest = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  config: descriptor,
  layers: v.array(descriptor),
  subject: v.optional(descriptor),
  annotations: orNull(stringMap),
});

const index = v.object({
  schemaVersion: v.literal(2),
  mediaType: v.optional(v.string()),
  artifactType: v.optional(v.string()),
  manifests: v.array(descriptor),
  subject: v.optional(descriptor),
  annotations: orNull(stringMap),
});

const healthcheck = v.object({
  Test: orNull(strings),
  Interval: v.optional(v.number()),
  Timeout: v.optional(v.number()),
  StartPeriod: v.optional(v.number()),
  StartInterval: v.optional(v.number()),
  Retries: v.optional(v.number()),
});

const runConfig = v.object({
  User: v.optional(v.string()),
  ExposedPorts: orNull(emptyMap),
  Env: orNull(strings),
  Entrypoint: orNull(strings),
  Cmd: orNull(strings),
  Volumes: orNull(emptyMap),
  WorkingDir: v.optional(v.string()),
  Labels: orNull(stringMap),
  StopSignal: v.optional(v.string()),
  Healthcheck: orNull(healthcheck),
  ArgsEscaped: v.optional(v.boolean()),
  OnBuild: orNull(strings),
  Shell: orNull(strings),
});

const imageConfig = v.object({
  created: v.optional(v.string()),
  author: v.optional(v.string()),
  architecture: v.string(),
  variant: v.optional(v.string()),
  os: v.string(),
  'os.version': v.optional(v.string()),
  config: orNull(runConfig),
  rootfs: v.object({ type: v.literal('layers'), diff_ids: v.array(digest) }),
  history: orNull(
    v.array(
      v.object({
        created: v.optional(v.string()),
        created_by: v.optional(v.string()),
        author: v.optional(v.string()),
        comment: v.optional(v.string()),
        empty_layer: v.optional(v.boolean()),
      }),
    ),
  ),
});

/** @throws {CairnError} DOCUMENT_INVALID */
export function decodeManifest(json: string, name: string): Manifest {
  return decode(manifest, json, name) as unknown as Manifest;
}

/** @throws {CairnError} DOCUMENT_INVALID */
export function decodeIndex(json: string, name: string): Index {
  return decode(index, json, name) as unknown as Index;
}

/** @throws {CairnError} DOCUMENT_INVALID */
export function decodeImageConfig(json: string, name: string): ImageConfig {
  return decode(imageConfig, json, name) as unknown as ImageConfig;
}

function decode<T extends v.GenericSchema>(schema: T, json: string, name: string): v.InferOutput<T> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new CairnError('DOCUMENT_INVALID', { message: `${name} is not JSON`, cause: error });
  }
  const result = v.safeParse(schema, value);
  if (result.success) return dropUndefined(result.output);
  const issue = result.issues[0];
  throw new CairnError('DOCUMENT_INVALID', {
    message: `${name} is invalid at "${v.getDotPath(issue) ?? '(root)'}": ${issue.message}`,
  });
}

/** Fields that were null become absent, so that re-encoding does not depend on how a peer wrote "nothing". */
function dropUndefined<T>(value: T): T {
  if (Array.isArray(value)) return value.map(dropUndefined) as T;
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, dropUndefined(item)])) as T;
}
