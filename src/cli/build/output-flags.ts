import type { BuildOutput, ImageForm, OutputTarget } from '../../builder/index.ts';
import { CairnError } from '../../errors/index.ts';
import { parseReference, type Reference, withDefaultTag } from '../../oci/index.ts';
import { closestName, type FlagValues, parseCsv } from '../flags/index.ts';
import type { Host } from '../host.ts';
import { annotationOption } from './annotation-flags.ts';
import { hostPath } from './build-options.ts';

/** An output as the command line names it. */
export interface RequestedOutput {
  readonly output: BuildOutput;
  /** The image is to be pushed under its names. */
  readonly isPushed: boolean;
}

/**
 * `--output`, `--load` and `--push`, as buildx reads them.
 * @param tags - of the build: what is pushed needs a name.
 * @throws {CairnError} OUTPUT_INVALID, ANNOTATION_INVALID, REFERENCE_INVALID
 */
export function outputsOf(
  flags: FlagValues,
  tags: readonly Reference[],
  host: Host,
): readonly RequestedOutput[] {
  const outputs = flags.list('output').map((text) => readOutput(text, host));
  const hasImage = outputs.some(({ output }) => output.kind === 'store');
  const isPushed = flags.bool('push');
  // --load and --push add an output beside others, or change one that is an image anyway.
  const wanted =
    (flags.bool('load') || isPushed) && !hasImage
      ? [...outputs, { output: { kind: 'store' } as const, isPushed }]
      : outputs.map((each) =>
          each.output.kind === 'store' ? { ...each, isPushed: each.isPushed || isPushed } : each,
        );
  for (const { output, isPushed: push } of wanted)
    if (push && output.kind === 'store' && (output.names ?? tags).length === 0)
      throw invalid('tag is needed when pushing to registry', 'name the image with -t');
  const streams = wanted.filter(({ output }) => 'to' in output && output.to.kind === 'stream');
  if (streams.length > 1)
    throw invalid('only one output can go to standard output', 'give the others a dest');
  return wanted;
}

/** One value of `--output`: a folder, `-`, or options. */
function readOutput(text: string, host: Host): RequestedOutput {
  const fields = parseCsv(text);
  const [first = ''] = fields;
  // buildx: a lone field without "=" is a folder, "-" a tar on standard output.
  if (fields.length <= 1 && !first.includes('=')) {
    if (first === '') throw invalid('the value is empty', 'give a folder, "-" or type=…');
    if (first === '-') return { output: { kind: 'tar', to: stdoutOf(host) }, isPushed: false };
    return { output: { kind: 'local', path: hostPath(host, first) }, isPushed: false };
  }
  const options = new OutputOptions(text, fields);
  const output = outputOfType(options, host);
  options.refuseOthers();
  return output;
}

function outputOfType(options: OutputOptions, host: Host): RequestedOutput {
  const type = options.take('type');
  switch (type) {
    case 'local':
      return { output: localOutput(options, host), isPushed: false };
    case 'tar':
      return { output: tarOutput(options, host), isPushed: false };
    case 'oci':
      return { output: ociOutput(options, host), isPushed: false };
    case 'docker': {
      const dest = options.take('dest');
      const form = imageForm(options);
      if (dest === undefined) return { output: { kind: 'store', ...form }, isPushed: false };
      return { output: { kind: 'docker', to: targetOf(dest, host), ...form }, isPushed: false };
    }
    case 'image':
    case 'registry': {
      const isPushed = options.flag('push') ?? type === 'registry';
      options.ignore('store', 'unpack', 'dangling-name-prefix', 'name-canonical', 'registry.insecure');
      return { output: { kind: 'store', ...imageForm(options) }, isPushed };
    }
    case 'cacheonly':
      throw options.invalid('type=cacheonly is what every build does: the cache is in the store', '');
    case undefined:
      throw options.invalid('type is required for output', typesHelp);
    default:
      throw options.invalid(`exporter "${type}" could not be found`, typesHelp);
  }
}

const typesHelp = 'types are local, tar, oci, docker, image and registry';

function localOutput(options: OutputOptions, host: Host): BuildOutput {
  const dest = options.take('dest');
  if (dest === undefined || dest === '')
    throw options.invalid('dest is required for local exporter', 'add dest=FOLDER');
  if (dest === '-') throw options.invalid('dest cannot be stdout for local exporter', 'use type=tar');
  const mode = options.take('mode') ?? 'copy';
  if (mode !== 'copy' && mode !== 'delete')
    throw options.invalid(`invalid mode "${mode}"`, 'modes are copy (other files stay) and delete');
  const split = options.flag('platform-split');
  const path = hostPath(host, dest);
  if (mode === 'delete') refusePrecious(path, options, host);
  return {
    kind: 'local',
    path,
    isMirror: mode === 'delete',
    ...(split === undefined ? {} : { splitPlatforms: split }),
  };
}

/** `mode=delete` empties the folder of everything else: never one in which the user works, or the store lies. */
function refusePrecious(path: string, options: OutputOptions, { cwd, root }: Host): void {
  const inside = (place: string) => `${place}/`.startsWith(path === '/' ? path : `${path}/`);
  for (const [place, what] of [
    [cwd, 'the current folder'],
    [root, 'the store'],
  ] as const)
    if (inside(place))
      throw options.invalid(
        `mode=delete would remove ${what}, which is in ${path}`,
        'give a folder of its own',
      );
}

function tarOutput(options: OutputOptions, host: Host): BuildOutput {
  const split = options.flag('platform-split');
  return {
    kind: 'tar',
    to: targetOf(options.take('dest') ?? '-', host),
    ...(split === undefined ? {} : { splitPlatforms: split }),
  };
}

function ociOutput(options: OutputOptions, host: Host): BuildOutput {
  const dest = options.take('dest') ?? '-';
  const isTar = options.flag('tar') ?? true;
  const form = imageForm(options);
  if (isTar) return { kind: 'oci', to: targetOf(dest, host), ...form };
  if (dest === '-')
    throw options.invalid('dest is required for oci exporter with tar=false', 'add dest=FOLDER');
  return { kind: 'oci', to: { kind: 'folder', path: hostPath(host, dest) }, ...form };
}

function targetOf(dest: string, host: Host): OutputTarget {
  return dest === '-' ? stdoutOf(host) : { kind: 'file', path: hostPath(host, dest) };
}

function stdoutOf({ stdout }: Host): OutputTarget {
  if (stdout.isTty)
    throw invalid(
      'dest file is required for tar exporter: refusing to write to console',
      'redirect standard output, or give dest=FILE',
    );
  return { kind: 'stream', write: (chunk) => stdout.write(chunk) };
}

/** Options that all images have. */
function imageForm(options: OutputOptions): ImageForm {
  const names = options.take('name')?.split(',').filter(Boolean) ?? [];
  const isOci = options.flag('oci-mediatypes');
  const annotations = options.takeAnnotations();
  const compression = compressionOf(options);
  return {
    ...(names.length > 0 ? { names: names.map((name) => withDefaultTag(parseReference(name))) } : {}),
    ...(isOci === undefined ? {} : { mediaTypes: isOci ? 'oci' : 'docker' }),
    ...(annotations.length > 0 ? { annotations } : {}),
    ...(compression === undefined ? {} : { compression }),
  };
}

/** What can be done with the same bytes on every machine. */
function compressionOf(options: OutputOptions): ImageForm['compression'] {
  const type = options.take('compression');
  options.flag('force-compression');
  if (options.take('compression-level') !== undefined)
    throw options.invalid(
      'the level of compression is fixed',
      'a layer has one compressed form, so that its digest is the same everywhere; leave compression-level out',
    );
  switch (type) {
    case undefined:
    case 'gzip':
    case 'zstd':
      return type;
    case 'uncompressed':
      return 'none';
    case 'estargz':
      throw options.invalid('compression=estargz is not supported', 'use gzip or zstd');
    default:
      throw options.invalid(
        `unsupported layer compression type "${type}"`,
        'types are uncompressed, gzip and zstd',
      );
  }
}

/** The options of one `--output`, each to be taken once; what nobody takes is a mistake. */
class OutputOptions {
  readonly #text: string;
  readonly #values = new Map<string, string>();
  readonly #taken = new Set<string>();

  constructor(text: string, fields: readonly string[]) {
    this.#text = text;
    for (const field of fields) {
      const equals = field.indexOf('=');
      if (equals < 0) throw this.invalid(`invalid value ${field}`, 'options are KEY=VALUE');
      const key = field.slice(0, equals).trim();
      this.#values.set(key.startsWith('annotation') ? key : key.toLowerCase(), field.slice(equals + 1));
    }
  }

  take(key: string): string | undefined {
    this.#taken.add(key);
    return this.#values.get(key);
  }

  /** @throws {CairnError} OUTPUT_INVALID for something else than a Go boolean */
  flag(key: string): boolean | undefined {
    const value = this.take(key);
    if (value === undefined) return undefined;
    if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
    if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
    throw this.invalid(`non-bool value "${value}" for ${key}`, 'write true or false');
  }

  ignore(...keys: readonly string[]): void {
    for (const key of keys) this.#taken.add(key);
  }

  takeAnnotations() {
    return [...this.#values].flatMap(([key, value]) => {
      const annotation = annotationOption(key, value);
      if (annotation === null) return [];
      this.#taken.add(key);
      return [annotation];
    });
  }

  refuseOthers(): void {
    for (const key of this.#values.keys()) {
      if (this.#taken.has(key)) continue;
      const near = closestName(key, [...this.#taken]);
      throw this.invalid(
        `there is no option "${key}" for this type`,
        near ? `did you mean "${near}"?` : `options are ${[...this.#taken].sort().join(', ')}`,
      );
    }
  }

  invalid(why: string, help: string): CairnError {
    return invalid(`--output ${this.#text}: ${why}`, help);
  }
}

function invalid(message: string, help: string): CairnError {
  return new CairnError('OUTPUT_INVALID', { message, exitCode: 2, ...(help ? { help } : {}) });
}
