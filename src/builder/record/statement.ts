import * as v from 'valibot';
import { CairnError } from '../../errors/index.ts';
import { type Digest, formatPlatform, fromHex, hexOf, isDigest, type Platform } from '../../oci/index.ts';
import type { ByteString } from '../../sys/index.ts';
import type {
  BuildRecord,
  RecordedFile,
  RecordedImage,
  RecordedOptions,
  RecordedStep,
} from './build-record.ts';

/** in-toto/attestation spec/v1/statement.md. */
const statementType = 'https://in-toto.io/Statement/v1';
/** slsa.dev/spec/v1.0/provenance. */
const predicateType = 'https://slsa.dev/provenance/v1';
/** What `externalParameters` and the rest mean: docs/build-record.md. */
const buildType = 'urn:cairn:dockerfile-build:1';
const builderId = 'urn:cairn:builder';

/**
 * A record as an in-toto statement about the image with that manifest: the same bytes for the same record, always. Lists are in byte order,
 * object keys in a fixed one.
 */
export function encodeStatement(record: BuildRecord, manifestDigest: Digest): string {
  const { dockerfile, context, target, platform, labels, options, namedContexts, format } = record;
  const externalParameters = {
    dockerfile,
    context,
    ...(target === undefined ? {} : { target }),
    platform: formatPlatform(platform),
    arguments: sorted(record.arguments),
    ...(record.withheldArguments.length > 0 && { withheldArguments: [...record.withheldArguments].sort() }),
    labels: sorted(labels),
    namedContexts: sorted(namedContexts),
    options: sortedDeep(options),
  };
  const runDetails = {
    builder: { id: builderId },
    byproducts: record.steps.map((step) => ({
      name: `${step.stage}.${step.instruction}`,
      digest: digestSet(step.layer),
    })),
  };
  // A context may have many files: their part is put together without an object for each.
  const dependencies = [...record.images.map(imageText), ...record.files.map(fileText)].join(',');
  const definition = [
    `"buildType":"${buildType}"`,
    `"externalParameters":${JSON.stringify(externalParameters)}`,
    `"internalParameters":${JSON.stringify({ format })}`,
    `"resolvedDependencies":[${dependencies}]`,
  ];
  return [
    `{"_type":"${statementType}","subject":${JSON.stringify([{ digest: digestSet(manifestDigest) }])}`,
    `"predicateType":"${predicateType}","predicate":{"buildDefinition":{${definition.join(',')}}`,
    `"runDetails":${JSON.stringify(runDetails)}}}`,
  ].join(',');
}

function digestSet(digest: Digest): { readonly sha256: string } {
  return { sha256: hexOf(digest) };
}

function imageText({ name, platform, manifestDigest, imageId }: RecordedImage): string {
  return JSON.stringify({
    name,
    uri: `docker-image:${encodeURI(name)}`,
    digest: digestSet(manifestDigest),
    annotations: { imageId, platform: formatPlatform(platform) },
  });
}

const plainPath = /^[\w./@+-]+$/;

function fileText({ context, path, type, mode, digest, link }: RecordedFile): string {
  const uri = `${context === '' ? 'context' : `context:${encodeURIComponent(context)}`}:${pathText(path)}`;
  const hash = digest === undefined ? '' : `,"digest":{"sha256":"${hexOf(digest)}"}`;
  const kind = type === 'file' ? '' : `,"type":"${type}"`;
  const to = link === undefined ? '' : `,"link":${JSON.stringify(pathText(link))}`;
  return `{"uri":"${uri}"${hash},"annotations":{"mode":"${mode.toString(8).padStart(4, '0')}"${kind}${to}}}`;
}

/** Bytes outside of a few are percent-encoded, so that any file name is plain ASCII. */
function pathText(path: ByteString): string {
  if (plainPath.test(path)) return path;
  return path.replace(
    /[^\w./@+-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function pathOf(text: string): ByteString {
  return text.replace(/%([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  ) as ByteString;
}

function sorted<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sortedDeep<T>(value: T): T {
  if (Array.isArray(value)) return value.map(sortedDeep) as T;
  if (value === null || typeof value !== 'object') return value;
  return sorted(
    Object.fromEntries(Object.entries(value).map(([name, item]) => [name, sortedDeep(item)])),
  ) as T;
}

const texts = v.record(v.string(), v.string());
const sha256 = v.object({ sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)) });

const dependency = v.object({
  name: v.optional(v.string()),
  uri: v.string(),
  digest: v.optional(sha256),
  annotations: texts,
});

const statement = v.object({
  _type: v.literal(statementType),
  subject: v.array(v.object({ digest: sha256 })),
  predicateType: v.literal(predicateType),
  predicate: v.object({
    buildDefinition: v.object({
      buildType: v.literal(buildType),
      externalParameters: v.object({
        dockerfile: v.object({ name: v.string(), text: v.string() }),
        context: v.object({ kind: v.string(), url: v.optional(v.string()) }),
        target: v.optional(v.string()),
        platform: v.string(),
        arguments: texts,
        withheldArguments: v.optional(v.array(v.string()), []),
        labels: texts,
        namedContexts: texts,
        options: v.record(v.string(), v.unknown()),
      }),
      internalParameters: v.object({ format: v.string() }),
      resolvedDependencies: v.array(dependency),
    }),
    runDetails: v.object({
      byproducts: v.optional(v.array(v.object({ name: v.string(), digest: sha256 })), []),
    }),
  }),
});

/**
 * Reads what `encodeStatement` wrote. It may come from elsewhere: all of it is checked.
 * @throws {CairnError} RECORD_INVALID
 */
export function decodeStatement(text: string): BuildRecord {
  const result = v.safeParse(statement, parseJson(text));
  if (!result.success) {
    const [issue] = result.issues;
    throw invalid(`at "${v.getDotPath(issue) ?? '(root)'}": ${issue.message}`);
  }
  const { buildDefinition, runDetails } = result.output.predicate;
  const { externalParameters, internalParameters, resolvedDependencies } = buildDefinition;
  const { target, context, platform, options, ...parameters } = externalParameters;
  const isImage = (item: { readonly uri: string }): boolean => item.uri.startsWith('docker-image:');
  return {
    ...parameters,
    context: { kind: context.kind, ...(context.url === undefined ? {} : { url: context.url }) },
    ...(target === undefined ? {} : { target }),
    platform: platformOf(platform),
    options: options as RecordedOptions,
    images: resolvedDependencies.filter(isImage).map(imageOf),
    files: resolvedDependencies.filter((item) => !isImage(item)).map(fileOf),
    steps: runDetails.byproducts.map(stepOf),
    format: internalParameters.format,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('it is not JSON');
  }
}

type Dependency = v.InferOutput<typeof dependency>;

function imageOf({ name = '', digest, annotations }: Dependency): RecordedImage {
  const { imageId, platform = '' } = annotations;
  if (digest === undefined || !isDigest(imageId)) throw invalid(`the image "${name}" has no digest`);
  return { name, platform: platformOf(platform), manifestDigest: fromHex(digest.sha256), imageId };
}

const fileTypes = ['file', 'dir', 'symlink', 'fifo', 'char', 'block'] as const;

function fileOf({ uri, digest, annotations }: Dependency): RecordedFile {
  const match = /^context:(?:([^:]*):)?([^:]*)$/.exec(uri);
  const type = fileTypes.find((each) => each === (annotations.type ?? 'file'));
  if (match === null || type === undefined) throw invalid(`"${uri}" is neither an image nor a file`);
  const [, context = '', path = ''] = match;
  return {
    context: decodeURIComponent(context),
    path: pathOf(path),
    type,
    mode: Number.parseInt(annotations.mode ?? '0', 8),
    ...(digest === undefined ? {} : { digest: fromHex(digest.sha256) }),
    ...(annotations.link === undefined ? {} : { link: pathOf(annotations.link) }),
  };
}

function stepOf({
  name,
  digest,
}: {
  readonly name: string;
  readonly digest: { readonly sha256: string };
}): RecordedStep {
  const match = /^(\d+)\.(\d+)$/.exec(name);
  if (match === null) throw invalid(`"${name}" is not the place of a step`);
  return {
    stage: Number(match[1]),
    instruction: Number(match[2]),
    layer: fromHex(digest.sha256) as RecordedStep['layer'],
  };
}

function platformOf(text: string): Platform {
  const [os = '', architecture = '', variant] = text.split('/');
  if (os === '' || architecture === '') throw invalid(`"${text}" is not a platform`);
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}

function invalid(reason: string): CairnError {
  return new CairnError('RECORD_INVALID', {
    message: `the build record cannot be understood: ${reason}`,
    help: 'build the image again: a new record takes its place',
  });
}
