import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { BuildOptions } from '../../src/builder/index.ts';
import { rawTar } from '../support/raw-tar.ts';
import type { Random } from './random.ts';

/** A path of a build context. */
export type ContextNode =
  | { readonly kind: 'file'; readonly content: string; readonly mode: number; readonly mtime?: number }
  | { readonly kind: 'tar'; readonly members: readonly string[] }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'hard'; readonly of: string }
  | { readonly kind: 'dir'; readonly mode: number };

/** A line of a Dockerfile. */
export type Line =
  | {
      readonly kind: 'copy';
      readonly sources: readonly string[];
      readonly dest: string;
      readonly flags: readonly string[];
      readonly from?: string;
    }
  | {
      readonly kind: 'add';
      readonly source: string;
      readonly dest: string;
      readonly flags: readonly string[];
    }
  | { readonly kind: 'heredoc'; readonly body: string; readonly dest: string }
  | { readonly kind: 'workdir'; readonly path: string }
  | { readonly kind: 'env' | 'arg'; readonly name: string; readonly value: string }
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'label'; readonly value: string }
  | { readonly kind: 'run'; readonly flags: readonly string[]; readonly command: string };

export interface StageModel {
  readonly name: string;
  readonly base: string;
  readonly lines: readonly Line[];
}

/** A whole build: context, Dockerfile and options. Immutable: a mutation gives another one. */
export interface BuildModel {
  readonly files: Readonly<Record<string, ContextNode>>;
  readonly ignore: readonly string[];
  readonly stages: readonly StageModel[];
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly contextModes: 'normal' | 'exact';
  readonly timestamp: number | 'preserve' | null;
}

const folders = ['d0', 'd1', 'd0/e'];
const contents = ['', 'a', 'b', 'ab', 'aaaa', 'x'.repeat(60)];
const modes = [0o644, 0o644, 0o644, 0o664, 0o600, 0o755, 0o775, 0o4755];
const names = ['V', 'W'];
const values = ['', 'p', 'q', 'p/q'];

export function randomFile(random: Random): ContextNode {
  const mtime = random.chance(20) ? { mtime: 1_000_000 + random.below(3) } : {};
  return { kind: 'file', content: random.pick(contents), mode: random.pick(modes), ...mtime };
}

/** A path that need not exist yet. */
export function randomPath(random: Random): string {
  const name = `f${random.below(4)}`;
  return random.chance(25) ? name : `${random.pick(folders)}/${name}`;
}

function randomFiles(random: Random): Record<string, ContextNode> {
  const files: Record<string, ContextNode> = {};
  for (const folder of folders)
    files[folder] = { kind: 'dir', mode: random.pick([0o755, 0o755, 0o775, 0o700]) };
  for (let i = 0; i < 8; i++) files[randomPath(random)] = randomFile(random);
  if (random.chance(50)) files['d0/l0'] = { kind: 'link', target: random.pick(['f0', 'e', '../d1', '/y']) };
  if (random.chance(30)) files['d1/h0'] = { kind: 'hard', of: random.pick(filePaths(files)) };
  files['t.tar'] = { kind: 'tar', members: random.many(3, () => random.pick(['a', 'b', 'c', 'd'])) };
  return files;
}

export function filePaths(files: BuildModel['files']): readonly string[] {
  return Object.keys(files).filter((path) => files[path]?.kind === 'file');
}

const safeDests = ['/x/', '/x/n/', '/z/$V/', 'rel/', '/u', '/w/${W:-none}/'];
/** Where files or links may be in the way, or are followed. */
const riskyDests = ['/x/l0/', '/x/l0', '/x/f0', '/', '/y'];

function randomDest(random: Random): string {
  return random.pick(random.chance(80) ? safeDests : riskyDests);
}

/** These are always there, or may match nothing. */
const safeSources = ['d0', 'd0/e', 'f*', 'd0/f?', 'd*', '.', 'd?/e', '*/f1', 'd0/./f*'];
const riskySources = ['f0', 'd1', 'd1/f1', 'd0/$V', 'd0/l0'];

function randomSource(random: Random): string {
  return random.pick(random.chance(95) ? safeSources : riskySources);
}

const copyFlags = [
  '--chmod=700',
  '--chmod=u=rwX,go=',
  '--chown=1:2',
  '--exclude=f0',
  '--exclude=**/f1',
  '--exclude=e',
  '--parents',
];
const commands = [
  'echo "$V-$W" > /v',
  'find /x /y /z -type f 2>/dev/null | sort | xargs -r cat > /sum',
  'ls -lnR /x /y 2>/dev/null | sed "s/^total.*//" > /ls || true',
  'mkdir -p /x && echo made > /x/f0',
  'rm -rf /x',
  'cat /m/* > /m.out 2>/dev/null || true',
  'id > /id; pwd > /tmp/pwd',
];

export interface ModelOptions {
  /** Name of a base that can run commands; without it nothing is run. */
  readonly base?: string;
}

export function randomLine(random: Random, stages: readonly string[], { base }: ModelOptions): Line {
  const kinds = ['copy', 'copy', 'copy', 'add', 'heredoc', 'workdir', 'env', 'arg', 'user', 'label'] as const;
  const kind = base !== undefined && random.chance(15) ? 'run' : random.pick(kinds);
  switch (kind) {
    case 'copy': {
      const flags = random.chance(40) ? [random.pick(copyFlags)] : [];
      const from = stages.length > 0 && random.chance(25) ? { from: random.pick(stages) } : {};
      const sources =
        'from' in from
          ? [random.pick(['/', '/x*'])]
          : [randomSource(random), ...random.many(1, () => randomSource(random))];
      return { kind, sources, dest: randomDest(random), flags, ...from };
    }
    case 'add':
      return {
        kind,
        source: 't.tar',
        dest: randomDest(random),
        flags: random.chance(20) ? ['--unpack=false'] : [],
      };
    case 'heredoc':
      return { kind, body: random.pick(['one', 'two $V', '$W']), dest: randomDest(random) };
    case 'workdir':
      return { kind, path: random.pick(['/x', '/work', 'sub', '/z/$V', '/']) };
    case 'env':
    case 'arg':
      return { kind, name: random.pick(names), value: random.pick(values) };
    case 'user':
      return { kind, user: random.pick(['0', '1000', '5:6']) };
    case 'label':
      return { kind, value: random.pick(values) };
    case 'run':
      return {
        kind,
        flags: random.chance(30)
          ? [
              random.pick([
                '--mount=type=bind,source=d0,target=/m',
                '--mount=type=bind,source=d1,target=/m,rw',
                '--mount=type=tmpfs,target=/m',
                '--network=none',
              ]),
            ]
          : [],
        command: random.pick(commands),
      };
  }
}

export function randomModel(random: Random, options: ModelOptions = {}): BuildModel {
  const stages: StageModel[] = [];
  const count = 1 + random.below(3);
  for (let i = 0; i < count; i++) {
    const earlier = stages.map(({ name }) => name);
    const bases = ['scratch', ...(options.base ? [options.base, options.base] : []), ...earlier];
    const base = random.pick(bases);
    const canRun = options.base !== undefined && rootOf(stages, base) === options.base;
    const lines = Array.from({ length: 2 + random.below(5) }, () =>
      randomLine(random, earlier, canRun ? options : {}),
    );
    stages.push({ name: `s${i}`, base, lines });
  }
  return {
    files: randomFiles(random),
    ignore: random.chance(30) ? [random.pick(['f0', '**/f1', 'd1', 'd0/e/**'])] : [],
    stages,
    buildArgs: random.chance(40) ? { [random.pick(names)]: random.pick(values) } : {},
    contextModes: random.chance(15) ? 'exact' : 'normal',
    timestamp: random.chance(80) ? null : random.pick([5, 2_000_000_000, 'preserve'] as const),
  };
}

/** The image, or scratch, that a stage begins with in the end. */
export function rootOf(stages: readonly StageModel[], base: string): string {
  const stage = stages.find(({ name }) => name === base);
  return stage === undefined ? base : rootOf(stages, stage.base);
}

export function dockerfileOf({ stages }: BuildModel): string {
  const text = stages.flatMap(({ name, base, lines }) => [`FROM ${base} AS ${name}`, ...lines.map(lineText)]);
  return `${text.join('\n')}\n`;
}

function lineText(line: Line): string {
  switch (line.kind) {
    case 'copy':
      return [
        'COPY',
        ...(line.from ? [`--from=${line.from}`] : []),
        ...line.flags,
        ...line.sources,
        line.dest,
      ].join(' ');
    case 'add':
      return ['ADD', ...line.flags, line.source, line.dest].join(' ');
    case 'heredoc':
      return `COPY <<END ${line.dest}\n${line.body}\nEND`;
    case 'workdir':
      return `WORKDIR ${line.path}`;
    case 'env':
      return `ENV ${line.name}="${line.value}"`;
    case 'arg':
      return `ARG ${line.name}="${line.value}"`;
    case 'user':
      return `USER ${line.user}`;
    case 'label':
      return `LABEL l="${line.value}"`;
    case 'run':
      return ['RUN', ...line.flags, line.command].join(' ');
  }
}

/** The options of a model's build, but the store. */
export function optionsOf(model: BuildModel, context: string): Omit<BuildOptions, 'store'> {
  const { buildArgs, contextModes } = model;
  // What a command writes has the time at which it ran: kept, or older than the epoch, it is another one each time.
  const runs = model.stages.some(({ lines }) => lines.some(({ kind }) => kind === 'run'));
  const timestamp = runs && model.timestamp !== 5 ? null : model.timestamp;
  return {
    context: { kind: 'dir', path: context },
    dockerfile: { kind: 'text', name: 'Dockerfile', text: dockerfileOf(model) },
    buildArgs,
    contextModes,
    hostEnv: { PATH: process.env.PATH },
    ...(timestamp === null
      ? {}
      : {
          timestamp: timestamp === 'preserve' ? { kind: 'preserve' } : { kind: 'epoch', seconds: timestamp },
        }),
  };
}

/** Brings a folder from one model's context to another's, changing only what differs. */
export function writeContext(folder: string, before: BuildModel | null, after: BuildModel): void {
  const old = before?.files ?? {};
  const isSame = (path: string) => JSON.stringify(old[path]) === JSON.stringify(after.files[path]);
  const isStale = (path: string): boolean => {
    const node = after.files[path];
    return !isSame(path) || (node?.kind === 'hard' && isStale(node.of));
  };
  const paths = Object.keys(after.files).sort();
  const gone = Object.keys(old).filter(
    (path) => after.files[path]?.kind !== old[path]?.kind || (old[path]?.kind === 'hard' && isStale(path)),
  );
  for (const path of gone.sort().reverse()) rmSync(join(folder, path), { recursive: true, force: true });
  const hard = (path: string) => after.files[path]?.kind === 'hard';
  for (const path of [...paths.filter((each) => !hard(each)), ...paths.filter(hard)])
    if (isStale(path) || lstatSync(join(folder, path), { throwIfNoEntry: false }) === undefined)
      writeNode(folder, path, after.files[path] as ContextNode);
  const ignore = join(folder, '.dockerignore');
  if (after.ignore.length === 0) rmSync(ignore, { force: true });
  else if (JSON.stringify(before?.ignore) !== JSON.stringify(after.ignore))
    writeFileSync(ignore, `${after.ignore.join('\n')}\n`);
}

function writeNode(folder: string, path: string, node: ContextNode): void {
  const at = join(folder, path);
  switch (node.kind) {
    case 'dir':
      mkdirSync(at, { recursive: true });
      chmodSync(at, node.mode);
      return;
    case 'link':
      rmSync(at, { force: true });
      symlinkSync(node.target, at);
      return;
    case 'hard':
      linkSync(join(folder, node.of), at);
      return;
    case 'tar':
      writeFileSync(at, rawTar(node.members.map((name, i) => ({ name: `${name}/${i}`, body: name }))));
      return;
    case 'file':
      writeFileSync(at, node.content);
      chmodSync(at, node.mode);
      if (node.mtime !== undefined) utimesSync(at, node.mtime, node.mtime);
  }
}
