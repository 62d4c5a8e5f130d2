import type { ImageConfig, RunConfig } from '../../oci/index.ts';
import type { ImageRecord } from '../../store/contracts.ts';
import {
  GoDuration,
  type GoField,
  GoMap,
  GoNil,
  GoStruct,
  GoTime,
  type GoValue,
  keySet,
  stringMap,
  stringSlice,
} from '../template/index.ts';

/** What `inspect` shows of an image, in the two forms in which Docker's client holds it. */
export interface ImageDocument {
  /** Go's struct, whose fields templates name: `.ID`, `.Config.Cmd`. */
  readonly typed: GoStruct;
  /** The engine's JSON, in the engine's key order: what is printed without a format. */
  readonly raw: GoStruct;
}

/** Sizes that a record does not carry. */
export interface ImageSizes {
  /** Of the files of all layers. */
  readonly contentBytes: number;
  readonly manifestBytes: number;
}

export function imageDocument(record: ImageRecord, sizes: ImageSizes): ImageDocument {
  const { config } = record;
  const shared = sharedFields(record, sizes);
  const identity = pick(shared, [
    'ID',
    'RepoTags',
    'RepoDigests',
    'Parent',
    'Comment',
    'Created',
    'DockerVersion',
    'Author',
  ]);
  const machine = pick(shared, [
    'Architecture',
    'Variant',
    'Os',
    'OsVersion',
    'Size',
    'GraphDriver',
    'RootFS',
    'Metadata',
    'Descriptor',
  ]);
  return {
    typed: new GoStruct('image.InspectResponse', [
      ...identity,
      { name: 'Config', value: typedConfig(config.config ?? {}) },
      ...machine,
    ]),
    raw: new GoStruct('image', [
      ...identity,
      ...machine,
      { name: 'Config', value: rawConfig(config.config ?? {}) },
    ]),
  };
}

/** The raw document as Go decodes it into interfaces, for templates that name JSON keys (`.Id`). */
export function asInterfaces(value: GoValue): GoValue {
  if (value instanceof GoNil) return null;
  if (value instanceof GoTime) return value.rfc3339;
  if (value instanceof GoDuration) return value.nanoseconds;
  if (Array.isArray(value)) return value.map(asInterfaces);
  if (value instanceof GoMap)
    return new GoMap(value.entries().map(([key, item]) => [key, asInterfaces(item)]));
  if (value instanceof GoStruct)
    return new GoMap(
      value.fields
        .filter((field) => !(field.omitEmpty && isAbsent(field.value)))
        .map((field) => [field.json ?? field.name, asInterfaces(field.value)]),
    );
  return value;
}

function isAbsent(value: GoValue): boolean {
  return value === '' || value === false || value === 0 || value instanceof GoNil;
}

function pick(fields: readonly GoField[], names: readonly string[]): GoField[] {
  return fields.filter((field) => names.includes(field.name));
}

function sharedFields(record: ImageRecord, sizes: ImageSizes): readonly GoField[] {
  const { config } = record;
  return [
    { name: 'ID', json: 'Id', value: record.id },
    { name: 'RepoTags', value: record.tags },
    { name: 'RepoDigests', value: record.repoDigests },
    { name: 'Parent', value: '' },
    { name: 'Comment', value: config.history?.at(-1)?.comment ?? '' },
    { name: 'Created', value: config.created ?? '', omitEmpty: true },
    { name: 'DockerVersion', value: '' },
    { name: 'Author', value: config.author ?? '' },
    { name: 'Architecture', value: config.architecture },
    { name: 'Variant', value: config.variant ?? '', omitEmpty: true },
    { name: 'Os', value: config.os },
    { name: 'OsVersion', value: config['os.version'] ?? '', omitEmpty: true },
    { name: 'Size', value: sizes.contentBytes },
    { name: 'GraphDriver', value: graphDriver() },
    { name: 'RootFS', value: rootFs(config) },
    {
      name: 'Metadata',
      value: new GoStruct('image.Metadata', [
        { name: 'LastTagTime', value: new GoTime('0001-01-01T00:00:00Z') },
      ]),
    },
    { name: 'Descriptor', value: descriptor(record, sizes) },
  ];
}

function graphDriver(): GoStruct {
  return new GoStruct('storage.DriverData', [
    { name: 'Data', value: new GoNil('map', 'map[string]string', '') },
    { name: 'Name', value: 'overlayfs' },
  ]);
}

function rootFs(config: ImageConfig): GoStruct {
  const layers = config.rootfs.diff_ids;
  return new GoStruct('image.RootFS', [
    { name: 'Type', value: 'layers' },
    { name: 'Layers', value: layers.length > 0 ? layers : new GoNil('slice', '[]string'), omitEmpty: true },
  ]);
}

function descriptor(record: ImageRecord, sizes: ImageSizes): GoStruct {
  return new GoStruct('*v1.Descriptor', [
    { name: 'MediaType', json: 'mediaType', value: record.manifest.mediaType ?? '' },
    { name: 'Digest', json: 'digest', value: record.manifestDigest },
    { name: 'Size', json: 'size', value: sizes.manifestBytes },
  ]);
}

const portSet = 'map[string]struct {}';

/** Fields in the order of Go's type, absent ones left out of JSON. */
function typedConfig(config: RunConfig): GoStruct {
  const fields = configFields(config);
  return new GoStruct(
    '*dockerspec.DockerOCIImageConfig',
    fields.map((field) => ({ ...field, omitEmpty: true })),
  );
}

/** Keys as the engine has sent them since long: sorted, a part of them always there. */
function rawConfig(config: RunConfig): GoStruct {
  const always = new Set(['Cmd', 'Entrypoint', 'Env', 'Labels', 'OnBuild', 'User', 'Volumes', 'WorkingDir']);
  const fields = configFields(config).map((field) => ({ ...field, omitEmpty: !always.has(field.name) }));
  return sortedStruct(new GoStruct('config', fields, { escapesHtml: true }));
}

/** The engine passes this part through a map: keys sorted, also of structs inside. */
function sortedStruct(struct: GoStruct): GoStruct {
  const fields = struct.fields
    .map((field) => ({
      ...field,
      value: field.value instanceof GoStruct ? sortedStruct(field.value) : field.value,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return new GoStruct(struct.typeName, fields, { escapesHtml: struct.escapesHtml });
}

function configFields(config: RunConfig): readonly GoField[] {
  return [
    { name: 'User', value: config.User ?? '' },
    { name: 'ExposedPorts', value: keySet(config.ExposedPorts, portSet) },
    { name: 'Env', value: stringSlice(config.Env) },
    { name: 'Entrypoint', value: stringSlice(config.Entrypoint) },
    { name: 'Cmd', value: stringSlice(config.Cmd) },
    { name: 'Volumes', value: keySet(config.Volumes) },
    { name: 'WorkingDir', value: config.WorkingDir ?? '' },
    { name: 'Labels', value: stringMap(config.Labels) },
    { name: 'StopSignal', value: config.StopSignal ?? '' },
    { name: 'ArgsEscaped', value: config.ArgsEscaped ?? false },
    { name: 'Healthcheck', value: healthcheck(config) },
    { name: 'OnBuild', value: config.OnBuild?.length ? config.OnBuild : new GoNil('slice', '[]string') },
    { name: 'Shell', value: stringSlice(config.Shell) },
  ];
}

function healthcheck(config: RunConfig): GoValue {
  const health = config.Healthcheck;
  if (!health) return new GoNil('pointer', '*v1.HealthcheckConfig');
  const duration = (name: string, nanoseconds: number | undefined): GoField => ({
    name,
    value: new GoDuration(nanoseconds ?? 0),
    omitEmpty: true,
  });
  return new GoStruct('*v1.HealthcheckConfig', [
    { name: 'Test', value: stringSlice(health.Test), omitEmpty: true },
    duration('Interval', health.Interval),
    duration('Timeout', health.Timeout),
    duration('StartPeriod', health.StartPeriod),
    duration('StartInterval', health.StartInterval),
    { name: 'Retries', value: health.Retries ?? 0, omitEmpty: true },
  ]);
}
