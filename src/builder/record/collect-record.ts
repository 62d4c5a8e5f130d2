import { basename } from 'node:path';
import { familiarName, parseReference, withDefaultTag } from '../../oci/index.ts';
import { type Dockerfile, isSecretName } from '../../parser/index.ts';
import { redactUrl } from '../../registry/http/index.ts';
import { cacheFormat } from '../cache-key.ts';
import type { BuildOptions, ContextSource, NamedContextSource } from '../contracts.ts';
import type { DockerfileText } from '../dockerfile-source.ts';
import type { BuildPlan, StageSource } from '../plan.ts';
import type { BuildSession } from '../session.ts';
import type { BuildRecord, RecordedImage, RecordedOptions, RecordedValue } from './build-record.ts';

/**
 * What an option has to do with the result: `recorded` as it is, recorded in a field of its own, or without influence
 * on the image's bytes. A new option must say which.
 */
const optionRoles = {
  annotations: 'recorded',
  clock: 'recorded',
  contextModes: 'recorded',
  extraHosts: 'recorded',
  limits: 'recorded',
  network: 'recorded',
  normalize: 'recorded',
  shmSizeBytes: 'recorded',
  squash: 'recorded',
  timestamp: 'recorded',
  visibleCpus: 'recorded',
  buildArgs: 'field',
  context: 'field',
  dockerfile: 'field',
  labels: 'field',
  namedContexts: 'field',
  platform: 'field',
  platforms: 'field',
  target: 'field',
  allow: 'none',
  canMount: 'none',
  hostEnv: 'none',
  jobs: 'none',
  lock: 'none',
  noCache: 'none',
  noCacheFilter: 'none',
  now: 'none',
  onEvent: 'none',
  outputs: 'none',
  pull: 'none',
  refreshBases: 'none',
  requireCached: 'none',
  sandbox: 'none',
  secrets: 'none',
  signal: 'none',
  ssh: 'none',
  store: 'none',
  tags: 'none',
  remoteCache: 'none',
  verify: 'none',
} as const satisfies Record<keyof BuildOptions, 'recorded' | 'field' | 'none'>;

export interface RecordInputs {
  readonly session: BuildSession;
  readonly plan: BuildPlan;
  readonly source: DockerfileText;
  readonly dockerfile: Dockerfile;
}

/** What a finished build was made from. Files and layers are those that its trail has seen. */
export function collectRecord({ session, plan, source, dockerfile }: RecordInputs): BuildRecord {
  const { options, trail } = session;
  const { given, withheld } = argumentsOf(options, plan, dockerfile);
  return {
    dockerfile: {
      name: basename(source.name),
      text: typeof source.text === 'string' ? source.text : Buffer.from(source.text).toString('utf8'),
    },
    context: contextOf(options.context),
    ...(options.target ? { target: options.target } : {}),
    platform: platformOf(plan, options),
    arguments: given,
    withheldArguments: withheld,
    labels: options.labels ?? {},
    options: recordedOptions(options),
    namedContexts: Object.fromEntries(
      Object.entries(options.namedContexts ?? {}).map(([name, context]) => [name, namedContextText(context)]),
    ),
    images: imagesOf(plan),
    files: trail.files().flatMap(({ context, files }) => files.map((file) => ({ context, ...file }))),
    steps: trail.layers(),
    format: cacheFormat,
  };
}

function platformOf(plan: BuildPlan, options: BuildOptions): BuildRecord['platform'] {
  const target = plan.stages.find(({ index }) => index === plan.target);
  const platform = options.platform ?? target?.platform;
  if (platform === undefined) throw new Error('a plan without its target');
  return platform;
}

/** Values that steer the builder without a declaration. */
const steering = /^(?:SOURCE_DATE_EPOCH|BUILDKIT_.*)$/;
/** Predefined without a declaration, and no part of the result: they may hold passwords and name hosts. */
const proxies = /^(?:HTTP|HTTPS|FTP|NO|ALL)_PROXY$/i;

function argumentsOf(
  options: BuildOptions,
  plan: BuildPlan,
  dockerfile: Dockerfile,
): { readonly given: Record<string, string>; readonly withheld: readonly string[] } {
  const instructions = plan.stages.flatMap((stage) => stage.instructions.map((each) => each.instruction));
  const declared = new Set(
    [...dockerfile.globalArgs, ...instructions].flatMap((instruction) =>
      instruction.kind === 'arg' ? instruction.args.map(({ name }) => name.text) : [],
    ),
  );
  const counts = (name: string): boolean =>
    (declared.has(name) && !proxies.test(name)) || steering.test(name);
  const all = Object.entries(options.buildArgs ?? {}).filter(([name]) => counts(name));
  const isHidden = ([name]: readonly [string, string]): boolean => isSecretName(name);
  return {
    given: Object.fromEntries(all.filter((each) => !isHidden(each))),
    withheld: all.filter(isHidden).map(([name]) => name),
  };
}

function contextOf(context: ContextSource): BuildRecord['context'] {
  const url = context.kind === 'git' || context.kind === 'http' ? { url: redactUrl(context.url) } : {};
  return { kind: context.kind, ...url };
}

/** Without paths of the host. */
function namedContextText(context: NamedContextSource): string {
  if (context.kind === 'image') return `docker-image://${context.name}`;
  if (context.kind === 'git' || context.kind === 'http') return redactUrl(context.url);
  return context.kind;
}

function recordedOptions(options: BuildOptions): RecordedOptions {
  const recorded: Record<string, RecordedValue> = {};
  for (const [name, role] of Object.entries(optionRoles)) {
    const value = (options as unknown as Record<string, RecordedValue | undefined>)[name];
    if (role === 'recorded' && value !== undefined && !isDefault(name, value)) recorded[name] = value;
  }
  return recorded;
}

/** A default that is written out is the same as an absent option. */
function isDefault(name: string, value: RecordedValue): boolean {
  if (Array.isArray(value)) return value.length === 0;
  const usual: Readonly<Record<string, RecordedValue>> = {
    clock: 'real',
    contextModes: 'normal',
    network: 'host',
    normalize: true,
    squash: false,
  };
  return usual[name] === value;
}

function imagesOf(plan: BuildPlan): readonly RecordedImage[] {
  const found = new Map<string, RecordedImage>();
  const add = (source: StageSource | undefined): void => {
    if (source?.kind !== 'image') return;
    const { image } = source;
    const name = familiarName(withDefaultTag(parseReference(source.name)));
    const { os, architecture, variant } = image.config;
    const platform = { os, architecture, ...(variant === undefined ? {} : { variant }) };
    const { manifestDigest, id: imageId } = image;
    found.set(`${name}\n${manifestDigest}`, { name, platform, manifestDigest, imageId });
  };
  for (const { base, instructions } of plan.stages) {
    add(base);
    for (const { from, mountSources = [] } of instructions)
      for (const source of [from, ...mountSources]) add(source);
  }
  return [...found.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, image]) => image);
}
