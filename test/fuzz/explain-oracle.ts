// Changes one thing at a time between builds and checks that the cause which a miss names is that thing. Run it with
//   node --import tsx test/fuzz/explain-oracle.ts [BUILDS] [SEED]
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type BuildEvent, type BuildOptions, build } from '../../src/builder/index.ts';
import { openStore } from '../../src/store/index.ts';
import { Random } from './random.ts';

/** A COPY of one folder of the context; folders do not overlap, so that it is plain which steps a change concerns. */
interface CopyLine {
  readonly folder: string;
  readonly dest: string;
  readonly chmod: string;
  readonly exclude: string;
  readonly variable: string;
}

interface Project {
  /** By path: content, and mode; or a link's target. */
  files: Map<string, { content: string; mode: number; link?: string }>;
  lines: CopyLine[];
  /** Default of each ARG, and value of each ENV, by name. */
  args: Record<string, string>;
  env: Record<string, string>;
  buildArgs: Record<string, string>;
  epoch: number;
  /** Lines of WORKDIR that stand before the copies. */
  workdirs: string[];
}

/** What a change is, and what the steps that it concerns must say. */
interface Change {
  readonly what: string;
  /** Whether it concerns a COPY by itself. */
  readonly concerns: (line: CopyLine) => boolean;
  /** What such a step must name. */
  readonly says: (line: CopyLine) => RegExp;
}

const folders = ['src', 'lib', 'doc', 'etc'];
const argNames = ['A', 'B'];
const envNames = ['X', 'Y'];

function newProject(random: Random): Project {
  const files: Project['files'] = new Map();
  for (const folder of folders) {
    const count = 2 + random.below(5);
    for (let i = 0; i < count; i++) files.set(`${folder}/f${i}`, { content: `${i}`, mode: 0o644 });
    files.set(`${folder}/sub/deep`, { content: 'deep', mode: 0o644 });
    files.set(`${folder}/link`, { content: '', mode: 0o777, link: 'f0' });
  }
  const lines = folders.map((folder) => newLine(random, folder));
  return {
    files,
    lines,
    args: Object.fromEntries(argNames.map((name) => [name, 'a'])),
    env: Object.fromEntries(envNames.map((name) => [name, 'e'])),
    buildArgs: {},
    epoch: 1_000_000,
    workdirs: ['/w'],
  };
}

let fresh = 0;

function newLine(random: Random, folder: string): CopyLine {
  const variable = random.pick(['', ...argNames, ...envNames]);
  return { folder, dest: `/${folder}`, chmod: '', exclude: '', variable };
}

function lineText({ folder, dest, chmod, exclude, variable }: CopyLine): string {
  const flags = [...(chmod ? [`--chmod=${chmod}`] : []), ...(exclude ? [`--exclude=${exclude}`] : [])];
  return ['COPY', ...flags, `${folder}/`, `${dest}${variable ? `/$${variable}` : ''}/`].join(' ');
}

function dockerfileOf({ lines, args, env, workdirs }: Project): string {
  return [
    'FROM scratch',
    ...workdirs.map((path) => `WORKDIR ${path}`),
    ...Object.entries(args).map(([name, value]) => `ARG ${name}=${value}`),
    ...Object.entries(env).map(([name, value]) => `ENV ${name}=${value}`),
    ...lines.map(lineText),
    '',
  ].join('\n');
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');

type MakeChange = (project: Project, random: Random, context: string) => Change | null;

const inFolder = (path: string) => (line: CopyLine) => path.startsWith(`${line.folder}/`);

const fileChange = (path: string, attribute: string): Change => ({
  what: `${attribute} of ${path}`,
  concerns: inFolder(path),
  says: () =>
    /^(?:added|removed)$/.test(attribute)
      ? new RegExp(`^${escaped(path)} was ${attribute}, 1 of \\d+ files?$`)
      : new RegExp(`^${escaped(path)} changed \\(${attribute}\\), 1 of \\d+ files?$`),
});

const plainFiles = ({ files }: Project) =>
  [...files.keys()].filter((path) => files.get(path)?.link === undefined && !path.endsWith('deep'));

const isExcluded = ({ lines }: Project, path: string) =>
  lines.some(
    (line) => path.startsWith(`${line.folder}/`) && line.exclude === path.slice(line.folder.length + 1),
  );

/** Files that some COPY takes. */
const taken = (project: Project) => plainFiles(project).filter((path) => !isExcluded(project, path));

const changeContent: MakeChange = (project, random, context) => {
  const path = random.pick(taken(project));
  const file = project.files.get(path)!;
  // As often of the same length as not.
  file.content = random.chance(50) ? String(++fresh) : String((Number(file.content) + 1) % 10);
  if (!/^\d+$/.test(file.content)) return null;
  writeFileSync(join(context, path), file.content);
  return fileChange(path, 'content');
};

const changeMode: MakeChange = (project, random, context) => {
  const path = random.pick(taken(project));
  const file = project.files.get(path)!;
  if (project.lines.some((line) => line.chmod !== '' && path.startsWith(`${line.folder}/`))) return null;
  const mode = random.pick([0o600, 0o700, 0o644, 0o755, 0o4755].filter((each) => each !== file.mode));
  file.mode = mode;
  chmodSync(join(context, path), mode);
  return fileChange(path, 'mode');
};

const addFile: MakeChange = (project, random, context) => {
  const path = `${random.pick(folders)}/n${++fresh}`;
  project.files.set(path, { content: '1', mode: 0o644 });
  writeFileSync(join(context, path), '1');
  chmodSync(join(context, path), 0o644);
  return fileChange(path, 'added');
};

const removeFile: MakeChange = (project, random, context) => {
  const candidates = taken(project).filter((path) => !path.endsWith('/f0'));
  if (candidates.length === 0) return null;
  const path = random.pick(candidates);
  project.files.delete(path);
  unlinkSync(join(context, path));
  return fileChange(path, 'removed');
};

const changeLink: MakeChange = (project, random, context) => {
  const path = `${random.pick(folders)}/link`;
  project.files.get(path)!.link = `t${++fresh}`;
  unlinkSync(join(context, path));
  symlinkSync(`t${fresh}`, join(context, path));
  return fileChange(path, 'link target');
};

const changeType: MakeChange = (project, random, context) => {
  const candidates = taken(project).filter((path) => !path.endsWith('/f0'));
  if (candidates.length === 0) return null;
  const path = random.pick(candidates);
  project.files.delete(path);
  project.files.set(`${path}`, { content: '', mode: 0o777, link: 'f0' });
  unlinkSync(join(context, path));
  symlinkSync('f0', join(context, path));
  return fileChange(path, 'type');
};

const changeArg: MakeChange = (project, random) => {
  const name = random.pick(argNames);
  const before = project.buildArgs[name] ?? project.args[name];
  const value = `v${++fresh}`;
  if (random.chance(50) || project.buildArgs[name] !== undefined) project.buildArgs[name] = value;
  else project.args[name] = value;
  return {
    what: `argument ${name}`,
    concerns: (line) => line.variable === name,
    says: () => new RegExp(`^argument ${name} was "(?:${before}|[av]\\d*)", is "${value}"$`),
  };
};

const changeEnv: MakeChange = (project, random) => {
  const name = random.pick(envNames);
  const value = `v${++fresh}`;
  project.env[name] = value;
  return {
    what: `variable ${name}`,
    concerns: (line) => line.variable === name,
    says: () => new RegExp(`^environment variable ${name} was "[ev]\\d*", is "${value}"$`),
  };
};

const changeLine =
  (edit: (line: CopyLine, random: Random) => CopyLine | null): MakeChange =>
  (project, random) => {
    const at = random.below(project.lines.length);
    const before = project.lines[at]!;
    const after = edit(before, random);
    if (after === null) return null;
    project.lines[at] = after;
    return {
      what: `text of ${lineText(before)}`,
      concerns: ({ folder }) => folder === after.folder,
      says: () => new RegExp(`^the instruction was "COPY .*", is "${escaped(lineText(after))}"$`),
    };
  };

const changeDest = changeLine((line) => ({ ...line, dest: `/${line.folder}${++fresh}` }));
const changeChmod = changeLine((line) => ({ ...line, chmod: line.chmod === '700' ? '711' : '700' }));
const changeExclude = changeLine((line) => (line.exclude === '' ? { ...line, exclude: 'f0' } : null));

const changeEpoch: MakeChange = (project) => {
  const before = project.epoch;
  project.epoch += 1 + (++fresh % 50);
  return {
    what: 'the epoch',
    concerns: () => true,
    says: () => new RegExp(`^the option timestamp was "\\d+", is "${project.epoch}"$`),
    ...(before === project.epoch ? {} : {}),
  };
};

const nothing: Change = { what: 'a line above', concerns: () => false, says: () => /$never/ };

const insertLine: MakeChange = (project) => {
  project.workdirs.splice(fresh % (project.workdirs.length + 1), 0, `/w${++fresh}`);
  return nothing;
};

const removeLine: MakeChange = (project) => {
  if (project.workdirs.length < 2) return null;
  project.workdirs.splice(++fresh % project.workdirs.length, 1);
  return nothing;
};

const touchUnrelated: MakeChange = (_project, _random, context) => {
  writeFileSync(join(context, `unrelated${++fresh}`), '');
  return { ...nothing, what: 'a file that nothing copies' };
};

const changes: readonly MakeChange[] = [
  changeContent,
  changeContent,
  changeMode,
  addFile,
  removeFile,
  changeLink,
  changeType,
  changeArg,
  changeEnv,
  changeDest,
  changeChmod,
  changeExclude,
  changeEpoch,
  insertLine,
  removeLine,
  touchUnrelated,
];

export interface ExplainReport {
  readonly builds: number;
  /** Steps whose own inputs changed, and that named the change. */
  readonly named: number;
  /** Steps that blamed a step above, rightly. */
  readonly blamed: number;
}

const perProject = 40;

/**
 * Builds with one change each: every step that the change concerns must name it; every other step must be found, or name a step above
 * that was executed in this build, or is new or gone.
 * @throws {Error} naming seed, change and what was said
 */
export async function runExplainOracle(builds: number, seed: number): Promise<ExplainReport> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cairn-explain-'));
  let [done, named, blamed] = [0, 0, 0];
  try {
    for (let number = 0; done < builds; number++) {
      const random = new Random(seed + number);
      const context = join(folder, `context-${number}`);
      // In a store that other projects share, a result may come from one of them, and nothing is known of this place.
      const root = join(folder, `store-${number}`);
      const project = newProject(random);
      writeProject(context, project);
      let last = await say(root, context, project);
      for (let i = 0; i < perProject && done < builds; i++) {
        const change = random.pick(changes)(project, random, context);
        if (change === null) continue;
        const said = await say(root, context, project);
        done++;
        const place = `seed ${seed + number}, change ${i}: ${change.what}\n${dockerfileOf(project)}`;
        const counts = check(project, { change, said, last, place });
        named += counts.named;
        blamed += counts.blamed;
        last = said;
      }
      for (const path of [context, root]) rmSync(path, { recursive: true, force: true });
    }
    return { builds: done, named, blamed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeProject(context: string, { files }: Project): void {
  for (const [path, { content, mode, link }] of files) {
    const at = join(context, path);
    mkdirSync(dirname(at), { recursive: true });
    if (link !== undefined) symlinkSync(link, at);
    else {
      writeFileSync(at, content);
      chmodSync(at, mode);
    }
  }
}

interface Said {
  readonly name: string;
  readonly cached: boolean;
  readonly note: string;
}

/** Milliseconds; two builds are never at one time. */
let clock = 0;

async function say(root: string, context: string, project: Project): Promise<readonly Said[]> {
  const names = new Map<number, string>();
  const said: Said[] = [];
  const onEvent = (event: BuildEvent): void => {
    if (event.type === 'plan') for (const { id, name } of event.steps) names.set(id, name);
    if (event.type === 'step-end')
      said.push({ name: names.get(event.id) ?? '', cached: event.cached, note: event.note ?? '' });
  };
  const options: Omit<BuildOptions, 'store'> = {
    context: { kind: 'dir', path: context },
    dockerfile: { kind: 'text', name: 'Dockerfile', text: dockerfileOf(project) },
    buildArgs: project.buildArgs,
    timestamp: { kind: 'epoch', seconds: project.epoch },
    onEvent,
    now: () => ++clock,
  };
  const store = openStore({ root });
  try {
    await build({ ...options, store });
  } finally {
    store.close();
  }
  return said;
}

interface Checked {
  readonly change: Change;
  readonly said: readonly Said[];
  readonly last: readonly Said[];
  readonly place: string;
}

function check(project: Project, { change, said, last, place }: Checked): { named: number; blamed: number } {
  let [named, blamed] = [0, 0];
  for (const [i, { name, cached, note }] of said.entries()) {
    const line = project.lines.find((each) => lineText(each) === name);
    const reason =
      /^a known layer with the same content \((.*)\)$/s.exec(note)?.[1] ?? (cached ? null : note);
    if (line !== undefined && change.concerns(line)) {
      if (reason !== null && !change.says(line).test(reason))
        throw new Error(`${place}${name} said: ${note}\nand should say: ${change.says(line)}`);
      // Going back to what was there before is a hit.
      if (reason !== null) named++;
      continue;
    }
    if (reason === null) continue;
    if (change.what === 'the epoch' && /^the option timestamp was/.test(reason)) continue;
    const above = /^(.*) above (changed its result|is new|is gone)$/s.exec(reason);
    // A line that was put in has no result, or stands where another one stood in an earlier build.
    const isPutIn = change.what === nothing.what && !last.some((each) => each.name === name);
    const isNew = isPutIn && /^(?:no result of it is known yet|the instruction was "WORKDIR )/.test(reason);
    if (isNew) continue;
    const cause = above?.[1];
    // A result that is as in an earlier build is found, and another one than in the last.
    const isConcerned = project.lines.some((each) => lineText(each) === cause && change.concerns(each));
    const isAbove = said
      .slice(0, i)
      .some((each) => each.name === cause && (isConcerned || isExecutedOrNew(each)));
    const isGone = above?.[2] === 'is gone' && last.some((each) => each.name === cause);
    if (!isAbove && !isGone) throw new Error(`${place}${name} said: ${note}\nwhich is not the cause`);
    blamed++;
  }
  return { named, blamed };
}

function isExecutedOrNew({ cached, note }: Said): boolean {
  return !cached || note.startsWith('a known layer');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [builds = '1000', seed = '1'] = process.argv.slice(2);
  const report = await runExplainOracle(Number(builds), Number(seed));
  process.stdout.write(
    `${report.builds} changes from seed ${seed}: ${report.named} steps named the change, ${report.blamed} rightly blamed a step above\n`,
  );
}
