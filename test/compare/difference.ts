import { type FlatFile, type FlatImage, flatten } from './flatten.ts';
import type { ArchivedImage, ConfigJson } from './image-archive.ts';

/** One thing in which two images differ. Values are printable; `undefined` means absent. */
export interface Difference {
  readonly area: 'file' | 'config' | 'history' | 'layers';
  /** Path (bytes as latin1, without a leading slash), config field or history entry. */
  readonly where: string;
  readonly field: string;
  readonly expected: string | undefined;
  readonly actual: string | undefined;
}

/** All differences between the image of the peer (`expected`) and Cairn's (`actual`). */
export function compareImages(
  expected: ArchivedImage,
  actual: ArchivedImage,
  options: { readonly baseDiffIds: ReadonlySet<string> },
): Difference[] {
  return [
    ...compareFiles(flatten(expected.layers), flatten(actual.layers)),
    ...compareConfigs(expected.config, actual.config),
    ...compareHistories(expected.config, actual.config),
    ...compareLayers(expected.config, actual.config, options.baseDiffIds),
  ];
}

const FILE_FIELDS = ['type', 'mode', 'uid', 'gid', 'size', 'content', 'link', 'device'] as const;

/** Differences of two root file systems: a missing path, a field, an attribute, a group of hard links. */
export function compareFiles(expected: FlatImage, actual: FlatImage): Difference[] {
  const differences: Difference[] = [];
  const report = (where: string, field: string, a: string | undefined, b: string | undefined) => {
    if (a !== b) differences.push({ area: 'file', where, field, expected: a, actual: b });
  };
  const expectedNames = linkNames(expected);
  const actualNames = linkNames(actual);
  const paths = [...new Set([...expected.keys(), ...actual.keys()])].sort();
  for (const path of paths) {
    const a = expected.get(path);
    const b = actual.get(path);
    if (a === undefined || b === undefined) {
      report(path, 'path', a && summary(a), b && summary(b));
      continue;
    }
    for (const field of FILE_FIELDS) report(path, field, show(field, a), show(field, b));
    for (const name of new Set([...Object.keys(a.xattrs), ...Object.keys(b.xattrs)])) {
      report(path, `xattr ${name}`, a.xattrs[name], b.xattrs[name]);
    }
    if (a.type !== 'dir' && b.type !== 'dir') {
      report(path, 'hard links', expectedNames.get(a)?.join(' '), actualNames.get(b)?.join(' '));
    }
  }
  return differences;
}

function linkNames(image: FlatImage): Map<FlatFile, string[]> {
  const names = new Map<FlatFile, string[]>();
  for (const [path, file] of image) {
    if (file.type === 'dir') continue;
    const group = names.get(file);
    if (group) group.push(path);
    else names.set(file, [path]);
  }
  for (const [file, group] of names) {
    if (group.length === 1) names.delete(file);
    else group.sort();
  }
  return names;
}

function show(field: (typeof FILE_FIELDS)[number], file: FlatFile): string | undefined {
  const value = file[field];
  if (value === undefined) return undefined;
  return field === 'mode' ? file.mode.toString(8).padStart(4, '0') : String(value);
}

function summary(file: FlatFile): string {
  const target = file.link === undefined ? '' : ` -> ${file.link}`;
  return `${file.type} ${file.mode.toString(8).padStart(4, '0')} ${file.uid}:${file.gid} ${file.size}${target}`;
}

const CONFIG_FIELDS = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'Healthcheck',
  'Shell',
  'OnBuild',
  'ArgsEscaped',
] as const;

function compareConfigs(expected: ConfigJson, actual: ConfigJson): Difference[] {
  const differences: Difference[] = [];
  const report = (field: string, a: unknown, b: unknown) => {
    const [left, right] = [canonical(a), canonical(b)];
    if (left !== right)
      differences.push({ area: 'config', where: 'config', field, expected: left, actual: right });
  };
  for (const field of ['architecture', 'os', 'variant', 'author'] as const)
    report(field, expected[field], actual[field]);
  for (const field of CONFIG_FIELDS) report(field, expected.config?.[field], actual.config?.[field]);
  return differences;
}

function compareHistories(expected: ConfigJson, actual: ConfigJson): Difference[] {
  const differences: Difference[] = [];
  const [left, right] = [expected.history ?? [], actual.history ?? []];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    for (const field of ['created_by', 'comment', 'author', 'empty_layer'] as const) {
      const [a, b] = [canonical(left[i]?.[field]), canonical(right[i]?.[field])];
      if (a !== b)
        differences.push({ area: 'history', where: `history[${i}]`, field, expected: a, actual: b });
    }
  }
  return differences;
}

function compareLayers(
  expected: ConfigJson,
  actual: ConfigJson,
  baseDiffIds: ReadonlySet<string>,
): Difference[] {
  const [left, right] = [expected.rootfs?.diff_ids ?? [], actual.rootfs?.diff_ids ?? []];
  const differences: Difference[] = [];
  if (left.length !== right.length) {
    const [a, b] = [String(left.length), String(right.length)];
    differences.push({ area: 'layers', where: 'layers', field: 'count', expected: a, actual: b });
  }
  left.forEach((diffId, i) => {
    // Layers of a base are never rewritten; layers that a step made differ in their times.
    if (baseDiffIds.has(diffId) && right[i] !== diffId) {
      differences.push({
        area: 'layers',
        where: `layers[${i}]`,
        field: 'base',
        expected: diffId,
        actual: right[i],
      });
    }
  });
  return differences;
}

/** JSON with sorted keys; absent, null, empty text, false, empty lists and empty maps all count as absent. */
function canonical(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '' || value === false) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : JSON.stringify(value);
  if (typeof value !== 'object') return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? undefined : JSON.stringify(Object.fromEntries(entries));
}
