import { existsSync, mkdirSync } from 'node:fs';
import { join, posix, resolve } from 'node:path';
import { CairnError } from '../../errors/index.ts';
import type { SandboxMount } from '../../run/contracts.ts';
import type { Tree } from '../../store/contracts.ts';
import { toBytes } from '../../sys/index.ts';
import { unsupported } from '../dispatch.ts';
import { invalidArgument, parseKeyValues } from '../flags/index.ts';
import { parseByteSize } from '../format/human-size.ts';

/**
 * Reads `-v HOST:CONTAINER[:options]`; a missing folder of the host is made, as Docker makes it.
 * @returns null for `-v CONTAINER`, a volume of its own: see `volumeStandIns`
 * @throws {CairnError} USAGE for a named volume
 */
export function parseVolume(text: string, cwd: string): SandboxMount | { readonly anonymous: string } {
  const [first = '', second, options = '', ...rest] = text.split(':');
  if (rest.length > 0) throw invalid(`invalid volume specification: '${text}'`);
  if (second === undefined) return { anonymous: containerPath(first, text) };
  if (!first.startsWith('/') && !first.startsWith('.'))
    throw unsupported(
      `the named volume "${first}"`,
      'bind a folder of the host: write its path with a slash',
    );
  const target = containerPath(second, text);
  const source = resolve(cwd, first);
  if (!existsSync(source)) mkdirSync(source, { recursive: true });
  return { kind: 'bind', source, target, readOnly: readOnlyOf(options, text) };
}

/** Options that have a meaning here; propagation, labels and consistency have none. */
function readOnlyOf(options: string, text: string): boolean {
  const known = [
    '',
    'ro',
    'rw',
    'z',
    'Z',
    'rprivate',
    'private',
    'cached',
    'delegated',
    'consistent',
    'nocopy',
  ];
  const words = options.split(',');
  const odd = words.find((word) => !known.includes(word));
  if (odd !== undefined) throw invalid(`invalid volume specification: '${text}': invalid mode: ${options}`);
  return words.includes('ro');
}

/** Reads `--mount type=bind,source=…,target=…`. @throws {FlagError} {CairnError} USAGE, USAGE */
export function parseMount(text: string): SandboxMount {
  const fields = parseKeyValues(text);
  const odd = fields.find(([key, value]) => value === undefined && !['readonly', 'ro'].includes(key));
  if (odd)
    throw invalidArgument({ name: 'mount' }, text, `invalid field '${odd[0]}' must be a key=value pair`);
  const options = new Map(fields);
  const take = (...names: readonly string[]): string | undefined => {
    let value: string | undefined;
    for (const name of names) {
      value ??= options.get(name);
      options.delete(name);
    }
    return value;
  };
  const type = take('type') ?? 'volume';
  const source = take('source', 'src');
  const target = take('target', 'dst', 'destination');
  const hasReadOnly = options.has('readonly') || options.has('ro');
  const readOnly = hasReadOnly && !['false', '0'].includes(take('readonly', 'ro') ?? 'true');
  if (target === undefined) throw invalidArgument({ name: 'mount' }, text, 'target is required');
  const size = take('tmpfs-size');
  const mode = take('tmpfs-mode');
  take('bind-propagation', 'consistency');
  const [unknown] = options.keys();
  if (unknown !== undefined)
    throw invalidArgument({ name: 'mount' }, text, `unknown option '${unknown}' in '${text}'`);
  const path = containerPath(target, text);
  if (type === 'tmpfs') return tmpfs(path, { size, mode });
  if (type !== 'bind') throw unsupported(`--mount type=${type}`, 'use type=bind or type=tmpfs');
  if (source === undefined)
    throw invalid('invalid mount config for type "bind": field Source must not be empty');
  if (!existsSync(source))
    throw invalid(`invalid mount config for type "bind": bind source path does not exist: ${source}`);
  return { kind: 'bind', source: resolve(source), target: path, readOnly };
}

/** Reads `--tmpfs PATH[:options]`. @throws {CairnError} USAGE */
export function parseTmpfs(text: string): SandboxMount {
  const colon = text.indexOf(':');
  const path = containerPath(colon < 0 ? text : text.slice(0, colon), text);
  const options = new Map(parseKeyValues(colon < 0 ? '' : text.slice(colon + 1)));
  const mount = tmpfs(path, { size: options.get('size'), mode: options.get('mode') });
  const plain = ['size', 'mode', 'rw', 'noexec', 'exec', 'nosuid', 'nodev', 'noatime', 'defaults'];
  const [unknown] = [...options.keys()].filter((key) => !plain.includes(key));
  if (unknown !== undefined) throw unsupported(`--tmpfs with ${unknown}`);
  return mount;
}

function tmpfs(
  target: string,
  { size, mode }: { readonly size: string | undefined; readonly mode: string | undefined },
): SandboxMount {
  const sizeBytes = size === undefined ? null : parseByteSize(size);
  if (size !== undefined && sizeBytes === null) throw invalid(`invalid tmpfs size: '${size}'`);
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) throw invalid(`invalid tmpfs mode: '${mode}'`);
  return {
    kind: 'tmpfs',
    target,
    ...(sizeBytes === null ? {} : { sizeBytes }),
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
  };
}

/**
 * Folders for the image's VOLUMEs and for `-v PATH`: where the image has none there, an empty one of this run; where
 * it has one, its own is writable and goes away with the container just the same.
 */
export function volumeStandIns(
  paths: readonly string[],
  {
    tree,
    scratch,
    taken,
  }: { readonly tree: Tree; readonly scratch: string; readonly taken: ReadonlySet<string> },
): readonly SandboxMount[] {
  const mounts: SandboxMount[] = [];
  for (const path of new Set(paths.map(cleanContainerPath))) {
    if (taken.has(path) || path === '/') continue;
    const place = tree.resolve(toBytes(path.replace(/^\/+|\/+$/g, '')), { followLast: true });
    if (tree.get(place)) continue;
    const source = join(scratch, `volume-${mounts.length}`);
    mkdirSync(source, { mode: 0o755 });
    mounts.push({ kind: 'bind', source, target: path, readOnly: false });
  }
  return mounts;
}

function containerPath(path: string, text: string): string {
  if (!path.startsWith('/'))
    throw invalid(
      `invalid volume specification: '${text}': invalid mount path: '${path}' mount path must be absolute`,
    );
  const clean = cleanContainerPath(path);
  if (clean === '/') throw invalid(`invalid specification: destination can't be '/'`);
  return clean;
}

function cleanContainerPath(path: string): string {
  return posix.normalize(path).replace(/(.)\/+$/, '$1');
}

function invalid(message: string): CairnError {
  return new CairnError('USAGE', { message });
}
